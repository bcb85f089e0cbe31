// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.app.Activity
import android.content.Context
import android.content.Intent
import android.os.Bundle
import android.view.Menu
import android.view.MenuItem

/** A text or two, and the classes of the model with their probabilities. */
class ClassifierActivity : Activity() {
    private lateinit var session: ClassifierSession
    private lateinit var view: ClassifierView

    override fun attachBaseContext(base: Context) =
        super.attachBaseContext(base.inLanguageOfSentences())

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        val app = application as DemoApplication
        session = lastNonConfigurationInstance as ClassifierSession?
            ?: ClassifierSession(app.classifiers, app.worker, app.main)
        setContentView(R.layout.activity_classifier)
        setActionBar(findViewById(R.id.toolbar))
        view = ClassifierView(this)
        view.text.limitTo(MainActivity.MOST_CHARACTERS)
        view.pair.limitTo(MainActivity.MOST_CHARACTERS)
        view.ask.setOnClickListener {
            if (session.state is QueryState.Running) session.cancel() else ask()
        }
        if (savedInstanceState == null) takeText()
    }

    /** After the texts of a former screen are back. */
    override fun onPostCreate(savedInstanceState: Bundle?) {
        super.onPostCreate(savedInstanceState)
        view.text.onChange { session.edited(view.texts) }
        view.pair.onChange { session.edited(view.texts) }
        session.listener = ::show
        show()
        // The process ended meanwhile, and the result with it.
        if (savedInstanceState?.getBoolean(ASKED) == true && session.state == QueryState.Idle) {
            ask()
        }
    }

    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        setIntent(intent)
        takeText()
    }

    override fun onSaveInstanceState(outState: Bundle) {
        super.onSaveInstanceState(outState)
        val state = session.state
        outState.putBoolean(ASKED, state != QueryState.Idle && state !is QueryState.Failed)
    }

    override fun onRetainNonConfigurationInstance(): Any = session

    override fun onDestroy() {
        if (isChangingConfigurations) session.listener = null else session.close()
        super.onDestroy()
    }

    override fun onCreateOptionsMenu(menu: Menu): Boolean {
        menuInflater.inflate(R.menu.main, menu)
        return true
    }

    override fun onOptionsItemSelected(item: MenuItem): Boolean {
        if (item.itemId != R.id.benchmark) return super.onOptionsItemSelected(item)
        startActivity(BenchmarkActivity.screen(this))
        return true
    }

    private fun ask() {
        hideKeyboard(view.text, view.pair)
        session.ask(view.texts)
    }

    /** The text that another app sent here. */
    private fun takeText() {
        val text = intent.sharedText() ?: return
        view.text.setText(text)
    }

    private fun show() = view.show(session.model, session.state)

    private companion object {
        const val ASKED = "asked"
    }
}
