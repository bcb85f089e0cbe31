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
import android.view.inputmethod.InputMethodManager
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.ProgressBar
import android.widget.ScrollView
import android.widget.TextView
import distilbert.mobile.core.spans.Answer

/** The views of [MainActivity], and how they show a state. */
internal class MainView(private val activity: Activity) {
    val passage: EditText = activity.findViewById(R.id.passage)
    val question: EditText = activity.findViewById(R.id.question)
    val ask: Button = activity.findViewById(R.id.ask)
    val samples: LinearLayout = activity.findViewById(R.id.samples)
    val suggestions: LinearLayout = activity.findViewById(R.id.suggestions)
    private val passageScroll: ScrollView = activity.findViewById(R.id.passage_scroll)
    private val notice: TextView = activity.findViewById(R.id.notice)
    private val problem: TextView = activity.findViewById(R.id.problem)
    private val progress: ProgressBar = activity.findViewById(R.id.progress)
    private val status: TextView = activity.findViewById(R.id.status)
    private val card: View = activity.findViewById(R.id.card)
    private val answer: TextView = activity.findViewById(R.id.answer)
    private val details: TextView = activity.findViewById(R.id.details)
    private val resources: Resources = activity.resources

    /** Shows the model's state and the question's. */
    fun show(model: ModelState, state: AnswerState) {
        problem.showText(problem(model, state)?.text(resources))
        ask.isEnabled = model !is ModelState.Unusable
        ask.setText(if (state is AnswerState.Asking) R.string.cancel else R.string.ask)
        showProgress(model, state)
        showAnswer(state)
    }

    /** A sentence above the text, null for none. */
    fun notice(sentence: String?) = notice.showText(sentence)

    fun scrollToTop() = passageScroll.scrollTo(0, 0)

    fun hideKeyboard() {
        activity
            .getSystemService(InputMethodManager::class.java)
            .hideSoftInputFromWindow(question.windowToken, 0)
        question.clearFocus()
        passage.clearFocus()
    }

    private fun problem(model: ModelState, state: AnswerState): Message? =
        (model as? ModelState.Unusable)?.reason ?: (state as? AnswerState.Failed)?.reason

    private fun showProgress(model: ModelState, state: AnswerState) {
        val isAsking = state is AnswerState.Asking
        progress.visibleIf(
            model !is ModelState.Unusable && (model !is ModelState.Ready || isAsking),
        )
        progress.isIndeterminate = model !is ModelState.Testing
        if (model is ModelState.Testing) {
            progress.max = model.of
            progress.progress = model.done
        }
        status.showText(
            when (model) {
                is ModelState.Opening -> resources.getString(R.string.opening)
                is ModelState.Testing ->
                    resources.getString(R.string.testing, model.done, model.of)
                is ModelState.Ready ->
                    if (isAsking) {
                        resources.getString(R.string.answering)
                    } else {
                        with(
                            model.model,
                        ) { resources.getString(R.string.ready, file.path, runtime) }
                    }
                is ModelState.Unusable -> null
            },
        )
    }

    private fun showAnswer(state: AnswerState) {
        card.visibleIf(state is AnswerState.Found || state is AnswerState.NotFound)
        unmark()
        when (state) {
            is AnswerState.Found -> {
                answer.text = state.answer.text
                answer.contentDescription =
                    resources.getString(R.string.answer_spoken, state.answer.text)
                details.text = line(R.string.lines, scored(state.answer), times(state.answer))
                if (passage.text.toString() == state.passage) mark(state.answer)
            }
            is AnswerState.NotFound -> {
                answer.setText(R.string.no_answer)
                answer.contentDescription = null
                details.text =
                    line(R.string.lines, state.reason.text(resources), times(state.answer))
            }
            is AnswerState.Idle, is AnswerState.Asking, is AnswerState.Failed -> Unit
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
