// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.app.Activity
import android.content.res.Resources
import android.graphics.Typeface
import android.text.Spanned
import android.text.style.BackgroundColorSpan
import android.text.style.ForegroundColorSpan
import android.text.style.StyleSpan
import android.view.View
import android.view.ViewTreeObserver
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.TextView
import distilbert.mobile.core.spans.Answer
import distilbert.mobile.core.spans.AnswerModel

/** The views of [MainActivity], and how they show a state. */
internal class MainView(private val activity: Activity) {
    val passage: EditText = activity.findViewById(R.id.passage)
    val question: EditText = activity.findViewById(R.id.question)
    val ask: Button = activity.findViewById(R.id.ask)
    val samples: LinearLayout = activity.findViewById(R.id.samples)
    val suggestions: LinearLayout = activity.findViewById(R.id.suggestions)
    private val passageScroll: ScrollView = activity.findViewById(R.id.passage_scroll)
    private val notice: TextView = activity.findViewById(R.id.notice)
    private val status = ModelStatus(activity, R.string.ask)
    private val card: View = activity.findViewById(R.id.card)
    private val answer: TextView = activity.findViewById(R.id.answer)
    private val details: TextView = activity.findViewById(R.id.details)
    private val resources: Resources = activity.resources

    /** The question on the screen. */
    val asked get() = Question(passage.text.toString(), question.text.toString())

    /** Shows the model's state and the question's. */
    fun show(model: ModelState<AnswerModel>, state: QueryState<Question, Reply>) {
        status.show(model, state)
        showAnswer(state)
    }

    /** A sentence above the text, null for none. */
    fun notice(sentence: String?) = notice.showText(sentence)

    fun scrollToTop() = passageScroll.scrollTo(0, 0)

    fun hideKeyboard() = activity.hideKeyboard(question, passage)

    private fun showAnswer(state: QueryState<Question, Reply>) {
        card.visibleIf(state is QueryState.Done)
        unmark()
        if (state !is QueryState.Done) return
        val found = state.result.answer
        val reason = state.result.reason
        if (reason == null) {
            answer.text = found.text
            answer.contentDescription = resources.getString(R.string.answer_spoken, found.text)
            details.text = line(R.string.lines, scored(found), times(found))
            if (passage.text.toString() == state.query.passage) mark(found)
        } else {
            answer.setText(R.string.no_answer)
            answer.contentDescription = null
            details.text = line(R.string.lines, reason.text(resources), times(found))
        }
    }

    private fun scored(answer: Answer) =
        line(
            R.string.line,
            resources.getString(R.string.score, answer.score),
            resources.getQuantityString(R.plurals.windows, answer.windows, answer.windows),
        )

    private fun times(answer: Answer) =
        with(answer.times) { resources.getString(R.string.times, tokenizing, inference, decoding) }

    private fun line(id: Int, first: String, second: String) =
        resources.getString(id, first, second)

    /** Highlights the answer, in more than color, and scrolls to it once it has its place. */
    private fun mark(answer: Answer) {
        val marks =
            listOf(
                BackgroundColorSpan(activity.getColor(R.color.highlight)),
                ForegroundColorSpan(activity.getColor(R.color.on_highlight)),
                StyleSpan(Typeface.BOLD),
            )
        for (mark in marks) {
            passage.text.setSpan(
                mark,
                answer.start,
                answer.end,
                Spanned.SPAN_EXCLUSIVE_EXCLUSIVE,
            )
        }
        passageScroll.beforeNextDraw { scrollTo(answer) }
    }

    private fun unmark() {
        val text = passage.text
        for (kind in MARKS) text.getSpans(0, text.length, kind).forEach(text::removeSpan)
    }

    /** The answer a third below the top, after what leads to it; the first line is a whole one. */
    private fun scrollTo(answer: Answer) {
        val layout = passage.layout ?: return
        val line = layout.getLineForOffset(minOf(answer.start, passage.text.length))
        val first = layout.getLineForVertical(layout.getLineTop(line) - passageScroll.height / LEAD)
        val top = if (first == 0) 0 else passage.totalPaddingTop + layout.getLineTop(first)
        passageScroll.scrollTo(0, top)
    }

    private companion object {
        const val LEAD = 3
        val MARKS =
            listOf(
                BackgroundColorSpan::class.java,
                ForegroundColorSpan::class.java,
                StyleSpan::class.java,
            )
    }
}

/** Shows [sentence], or nothing at all; the same one again is not announced again. */
internal fun TextView.showText(sentence: String?) {
    if (sentence != null && text.toString() != sentence) text = sentence
    visibleIf(sentence != null)
}

internal fun View.visibleIf(isVisible: Boolean) {
    visibility = if (isVisible) View.VISIBLE else View.GONE
}

/** Once everything has its size and place. */
private fun View.beforeNextDraw(action: () -> Unit) {
    viewTreeObserver.addOnPreDrawListener(
        object : ViewTreeObserver.OnPreDrawListener {
            override fun onPreDraw(): Boolean {
                viewTreeObserver.removeOnPreDrawListener(this)
                action()
                return true
            }
        },
    )
    invalidate()
}
