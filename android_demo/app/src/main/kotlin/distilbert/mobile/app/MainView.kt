// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.app.Activity
import android.content.res.Resources
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
    private val card = ResultCard(activity)
    private val caution: TextView = activity.findViewById(R.id.caution)
    private val answer: TextView = activity.findViewById(R.id.answer)
    private val reason: TextView = activity.findViewById(R.id.reason)
    private val paneScroll: ScrollView = activity.findViewById(R.id.pane_scroll)
    private val resources: Resources = activity.resources

    /** The question on the screen. */
    val asked get() = Question(passage.text.toString(), question.text.toString())

    /** Shows the model's state and the question's. */
    fun show(model: ModelState<AnswerModel>, state: QueryState<Question, Reply>) {
        status.show(model, state)
        showAnswer(model, state)
    }

    /** A sentence above the text, null for none. */
    fun notice(sentence: String?) = notice.showText(sentence)

    fun scrollToTop() = passageScroll.scrollTo(0, 0)

    fun hideKeyboard() = activity.hideKeyboard(question, passage)

    private fun showAnswer(model: ModelState<AnswerModel>, state: QueryState<Question, Reply>) {
        Highlight.unmark(passage.text)
        if (state !is QueryState.Done) return card.hide()
        val reply = state.result
        val found = reply.answer
        val isAnswer = reply.reason == null
        if (isAnswer) showSentence(state.query.passage, reply) else showNothing()
        caution.showText(
            resources
                .getString(R.string.not_sure, reply.weight * PERCENT)
                .takeIf { isAnswer && !reply.isSure },
        )
        reason.showText(reply.reason?.text(resources))
        card.show(
            found.text.takeIf { isAnswer },
            listOfNotNull(
                measured(reply).takeIf { isAnswer },
                status.times(found.times),
                status.file(model),
            ),
        )
        if (isAnswer && passage.text.toString() == state.query.passage) {
            Highlight.mark(passage, found.start, found.end, reply.isSure)
            passageScroll.beforeNextDraw { scrollTo(found) }
        }
        paneScroll.beforeNextDraw { paneScroll.scrollTo(0, card.top) }
    }

    private fun showSentence(passage: String, reply: Reply) {
        val found = reply.answer
        val excerpt = Excerpt.of(passage, found.start, found.end)
        answer.setText(excerpt.text, TextView.BufferType.SPANNABLE)
        Highlight.mark(answer, excerpt.start, excerpt.end, reply.isSure)
        answer.contentDescription =
            resources.getString(R.string.answer_spoken, found.text, excerpt.text)
    }

    private fun showNothing() {
        answer.setText(R.string.no_answer)
        answer.contentDescription = null
    }

    private fun measured(reply: Reply) =
        listOf(
            resources.getString(R.string.confidence, reply.weight * PERCENT),
            resources.getString(R.string.score, reply.answer.score),
            with(reply.answer) {
                resources.getQuantityString(R.plurals.windows, windowsRead, windowsRead)
            },
        ).joinToString(SEPARATOR)

    /** The answer a third below the top, after what leads to it, or all of it if it is long. */
    private fun scrollTo(answer: Answer) {
        val layout = passage.layout ?: return
        val length = passage.text.length
        val (first, last) =
            listOf(answer.start, answer.end).map { layout.getLineForOffset(minOf(it, length)) }
        val top = passage.totalPaddingTop + layout.getLineTop(first)
        val bottom = passage.totalPaddingTop + layout.getLineBottom(last)
        val height = passageScroll.height
        val fade = passageScroll.verticalFadingEdgeLength
        val wanted = maxOf(top - height / LEAD, bottom + fade - height)
        passageScroll.scrollTo(0, minOf(wanted, top - fade))
    }

    private companion object {
        const val LEAD = 3
        const val PERCENT = 100
        const val SEPARATOR = " · "
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
internal fun View.beforeNextDraw(action: () -> Unit) {
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
