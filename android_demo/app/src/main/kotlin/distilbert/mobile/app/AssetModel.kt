// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.Context
import distilbert.mobile.answerer.QuestionAnswerer
import distilbert.mobile.core.ModelFile
import distilbert.mobile.core.spans.Answer
import distilbert.mobile.core.spans.AnswerModel
import distilbert.mobile.core.spans.SpanDescription

/** The model among the app's assets. */
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

        /** The default file with as many threads as the library thinks right. */
        fun open(context: Context): AnswerModel =
            AssetModel(QuestionAnswerer.fromAssets(context, FOLDER))

        /** A certain [file], null for the default one, with so many [threads]. */
        fun open(context: Context, file: String?, threads: Int): AnswerModel =
            AssetModel(QuestionAnswerer.fromAssets(context, FOLDER, file, threads))
    }
}
