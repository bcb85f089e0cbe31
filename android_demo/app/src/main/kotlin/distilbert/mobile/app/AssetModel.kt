// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.Context
import distilbert.mobile.answerer.QuestionAnswerer
import distilbert.mobile.answerer.TextClassifier
import distilbert.mobile.core.ModelDescription
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.ModelFile
import distilbert.mobile.core.classes.ClassDescription
import distilbert.mobile.core.classes.ClassModel
import distilbert.mobile.core.classes.Classification
import distilbert.mobile.core.spans.Answer
import distilbert.mobile.core.spans.AnswerModel
import distilbert.mobile.core.spans.SpanDescription
import java.io.FileNotFoundException
import java.io.IOException

/** A model among the app's assets that answers questions. */
internal class AssetModel(private val answerer: QuestionAnswerer) : AnswerModel {
    override val description: SpanDescription get() = answerer.description
    override val file: ModelFile get() = answerer.file
    override val runtime: String get() = answerer.runtime

    override fun answer(
        passage: String,
        question: String,
        padTo: Int?,
        isCancelled: () -> Boolean,
    ): Answer = answerer.answer(passage, question, padTo, isCancelled)

    override fun selfTest(isCancelled: () -> Boolean, onProgress: (Int, Int) -> Unit): String? =
        answerer.selfTest(isCancelled, onProgress).problem

    override fun close() = answerer.close()

    companion object {
        /** Where the build's files lie among the assets. */
        const val FOLDER = "model"

        /**
         * The task that `model.json` names; null if the file cannot be read, which opening the
         * model explains.
         */
        fun task(context: Context): String? =
            try {
                ModelDescription.parse(read(context, "model.json")).task
            } catch (_: IOException) {
                null
            } catch (_: ModelException) {
                null
            }

        /**
         * A file of the build as a text.
         *
         * @throws FileNotFoundException if the build has none of that [name].
         */
        fun read(context: Context, name: String): String =
            context.assets.open("$FOLDER/$name").use { it.readBytes().decodeToString() }

        /** The default file with as many threads as the library thinks right. */
        fun open(context: Context): AnswerModel =
            AssetModel(QuestionAnswerer.fromAssets(context, FOLDER))

        /** A certain [file], null for the default one, with so many [threads]. */
        fun open(context: Context, file: String?, threads: Int): AnswerModel =
            AssetModel(QuestionAnswerer.fromAssets(context, FOLDER, file, threads))
    }
}

/** A model among the app's assets that classifies texts. */
internal class AssetClassifier(private val classifier: TextClassifier) : ClassModel {
    override val description: ClassDescription get() = classifier.description
    override val file: ModelFile get() = classifier.file
    override val runtime: String get() = classifier.runtime

    override fun classify(
        text: String,
        pair: String?,
        padTo: Int?,
        isCancelled: () -> Boolean,
    ): Classification = classifier.classify(text, pair, padTo, isCancelled)

    override fun selfTest(isCancelled: () -> Boolean, onProgress: (Int, Int) -> Unit): String? =
        classifier.selfTest(isCancelled, onProgress).problem

    override fun close() = classifier.close()

    companion object {
        /** The default file with as many threads as the library thinks right. */
        fun open(context: Context): ClassModel =
            AssetClassifier(TextClassifier.fromAssets(context, AssetModel.FOLDER))

        /** A certain [file], null for the default one, with so many [threads]. */
        fun open(context: Context, file: String?, threads: Int): ClassModel =
            AssetClassifier(TextClassifier.fromAssets(context, AssetModel.FOLDER, file, threads))
    }
}
