// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.app.Activity
import android.content.Context
import android.content.Intent
import android.os.Bundle
import android.view.KeyEvent
import android.view.Menu
import android.view.MenuItem

/** A screen that asks a model and shows its result, of whatever task: what outlives the screen. */
internal abstract class QueryActivity<S : QuerySession<*, *, *>> : Activity() {
    protected lateinit var session: S
        private set

    /** A session for the first screen of this kind. */
    protected abstract fun open(app: DemoApplication): S

    /** Follows the texts on the screen from now on. */
    protected abstract fun follow()

    /** Asks what is on the screen. */
    protected abstract fun ask()

    /** Takes the text that another app sent here. */
    protected abstract fun takeText()

    /** Shows the state of the model and of the query. */
    protected abstract fun show()

    override fun attachBaseContext(base: Context) =
        super.attachBaseContext(base.inLanguageOfSentences())

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        @Suppress("UNCHECKED_CAST") // this class alone gives it
        session = lastNonConfigurationInstance as S? ?: open(application as DemoApplication)
    }

    /** After the texts of a former screen are back. */
    override fun onPostCreate(savedInstanceState: Bundle?) {
        super.onPostCreate(savedInstanceState)
        follow()
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

    /** Ctrl+Enter asks, wherever the focus is: Enter alone is a new line in a text. */
    override fun dispatchKeyEvent(event: KeyEvent): Boolean {
        val isEnter = event.keyCode in ENTER && event.isCtrlPressed
        if (!isEnter) return super.dispatchKeyEvent(event)
        if (event.action == KeyEvent.ACTION_DOWN && event.repeatCount == 0) ask()
        return true
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

    private companion object {
        const val ASKED = "asked"
        val ENTER = listOf(KeyEvent.KEYCODE_ENTER, KeyEvent.KEYCODE_NUMPAD_ENTER)
    }
}
