// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.app.Activity
import android.content.res.Resources
import android.view.View
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.ProgressBar
import android.widget.TextView
import distilbert.mobile.core.classes.ClassModel
import distilbert.mobile.core.classes.Classification
import distilbert.mobile.core.classes.Score

/** The views of [ClassifierActivity], and how they show a state. */
internal class ClassifierView(private val activity: Activity) {
    val text: EditText = activity.findViewById(R.id.text)
    val pair: EditText = activity.findViewById(R.id.pair)
    val ask: Button = activity.findViewById(R.id.ask)
    private val status = ModelStatus(activity, R.string.classify)
    private val card = ResultCard(activity)
    private val answer: TextView = activity.findViewById(R.id.answer)
    private val scores: LinearLayout = activity.findViewById(R.id.scores)
    private val resources: Resources = activity.resources

    /** The texts on the screen. */
    val texts get() = Texts(text.text.toString(), pair.text.toString())

    /** Shows the model's state and the text's. */
    fun show(model: ModelState<ClassModel>, state: QueryState<Texts, Classification>) {
        status.show(model, state)
        if (model is ModelState.Ready) pair.visibleIf(model.model.description.isPair)
        if (state !is QueryState.Done) return card.hide()
        show(state.result)
        card.show(
            answer.text.toString(),
            listOfNotNull(status.times(state.result.times), status.file(model)),
        )
    }

    private fun show(found: Classification) {
        answer.showText(
            found.label.ifEmpty { resources.getString(R.string.predicted, found.value) },
        )
        val shown = found.scores.take(MOST_ROWS)
        while (scores.childCount > shown.size) scores.removeViewAt(scores.childCount - 1)
        while (scores.childCount < shown.size) {
            activity.layoutInflater.inflate(R.layout.score, scores)
        }
        shown.forEachIndexed { index, score -> show(scores.getChildAt(index), score) }
    }

    private fun show(row: View, score: Score) {
        row.findViewById<TextView>(R.id.label).text = score.label
        row.findViewById<TextView>(R.id.percent).text =
            resources.getString(R.string.percent, score.probability * PERCENT)
        row.findViewById<ProgressBar>(R.id.bar).progress = (score.probability * BAR).toInt()
    }

    private companion object {
        const val PERCENT = 100

        /** The greatest value of a bar, as in its layout. */
        const val BAR = 1000

        /** More classes are not read; the rest is less probable. */
        const val MOST_ROWS = 10
    }
}
