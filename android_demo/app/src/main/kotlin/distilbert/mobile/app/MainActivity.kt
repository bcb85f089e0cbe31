// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.ClipboardManager
import android.os.Bundle
import android.view.inputmethod.EditorInfo

/** A text, a question, and the answer where it stands in the text. */
internal class MainActivity : QueryActivity<QuestionSession>() {
    private lateinit var view: MainView
    private val samples by lazy { Samples(Sample.all(resources)) }

    override fun open(app: DemoApplication) = QuestionSession(app.models, app.worker, app.main)

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.activity_main)
        setActionBar(findViewById(R.id.toolbar))
        view = MainView(this)
        view.passage.limitTo(MOST_CHARACTERS)
        view.question.limitTo(MOST_CHARACTERS)
        view.question.wrapLines()
        view.ask.setOnClickListener {
            if (session.state is QueryState.Running) session.cancel() else ask()
        }
        view.question.setOnEditorActionListener { _, action, _ ->
            (action == EditorInfo.IME_ACTION_SEARCH).also { if (it) ask() }
        }
        if (savedInstanceState == null) takeText()
    }

    override fun follow() {
        view.passage.onChange { edited() }
        view.question.onChange { edited() }
        showSamples()
    }

    override fun ask() {
        view.hideKeyboard()
        session.ask(view.asked)
    }

    /** An answer to other texts than those on the screen is forgotten. */
    private fun edited() {
        session.edited(view.asked)
        showSamples()
    }

    /** The text that another app sent here, or the first sample. */
    override fun takeText() {
        val text = intent.sharedText()
        when {
            text == null -> if (view.passage.text.isEmpty()) take(samples.all.first())
            text.isBlank() -> {
                take(samples.all.first())
                view.notice(getString(R.string.nothing_shared))
            }
            else -> takeOwn(text)
        }
    }

    private fun take(sample: Sample) {
        view.notice(null)
        view.passage.setText(sample.passage)
        view.question.setText("")
        view.scrollToTop()
    }

    private fun takeOwn(text: String) {
        view.passage.setText(text)
        view.question.setText("")
        view.scrollToTop()
        val isCut = text.length > MOST_CHARACTERS
        view.notice(
            resources
                .getQuantityString(R.plurals.text_cut, MOST_CHARACTERS, MOST_CHARACTERS)
                .takeIf { isCut },
        )
    }

    private fun paste() {
        val clip = getSystemService(ClipboardManager::class.java).primaryClip
        val text = clip?.takeIf { it.itemCount > 0 }?.getItemAt(0)?.coerceToText(this)
        if (text.isNullOrBlank()) {
            view.notice(getString(R.string.nothing_to_paste))
        } else {
            takeOwn(text.toString())
        }
    }

    private fun showSamples() {
        val shown = samples.find(view.passage.text)
        val chips =
            samples.all.map { sample ->
                Choice(sample.title, sample === shown) { take(sample) }
            } +
                Choice(getString(R.string.own_text), shown == null) {
                    if (samples.find(view.passage.text) != null) takeOwn("")
                    view.passage.requestFocus()
                } + Choice(getString(R.string.paste), false, ::paste)
        view.samples.show(chips)
        val questions = shown?.questions.orEmpty()
        view.suggestions.show(
            questions.map { question ->
                Choice(question, false) {
                    view.question.setText(question)
                    ask()
                }
            },
        )
    }

    override fun show() {
        view.show(session.model, session.state)
    }

    companion object {
        /**
         * About 17,000 words. The texts of both fields are kept in a transaction of at most 1 MB
         * when the app leaves the screen, where a character takes up to three bytes. The style of
         * the fields keeps out of it what they would hold for undoing.
         */
        const val MOST_CHARACTERS = 100_000
    }
}

/** The samples, and which of them is on the screen. */
private class Samples(val all: List<Sample>) {
    fun find(passage: CharSequence): Sample? =
        all.find { it.passage.length == passage.length && it.passage == passage.toString() }
}
