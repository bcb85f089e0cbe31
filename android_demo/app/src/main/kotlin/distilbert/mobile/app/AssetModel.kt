// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.Context
import distilbert.mobile.answerer.QuestionAnswerer
import distilbert.mobile.answerer.TextClassifier
import distilbert.mobile.core.ModelDescription
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.classes.ClassModel
import distilbert.mobile.core.spans.AnswerModel
import java.io.FileNotFoundException
import java.io.IOException

/** The model among the app's assets. */
internal object AssetModel {
    /** Where the build's files lie among the assets. */
    private const val FOLDER = "model"

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
    fun open(context: Context): AnswerModel = QuestionAnswerer.fromAssets(context, FOLDER)

    /** A certain [file], null for the default one, with so many [threads]. */
    fun open(context: Context, file: String?, threads: Int): AnswerModel =
        QuestionAnswerer.fromAssets(context, FOLDER, file, threads)

    /** As [open], for a model that classifies texts. */
    fun openClassifier(context: Context): ClassModel = TextClassifier.fromAssets(context, FOLDER)

    /** As [open], for a model that classifies texts. */
    fun openClassifier(context: Context, file: String?, threads: Int): ClassModel =
        TextClassifier.fromAssets(context, FOLDER, file, threads)
}
