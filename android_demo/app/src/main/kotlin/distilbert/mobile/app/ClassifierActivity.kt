// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.os.Bundle

/** A text or two, and the classes of the model with their probabilities. */
internal class ClassifierActivity : QueryActivity<ClassifierSession>() {
    private lateinit var view: ClassifierView

    override fun open(app: DemoApplication) =
        ClassifierSession(app.classifiers, app.worker, app.main)

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
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

    override fun follow() {
        view.text.onChange { session.edited(view.texts) }
        view.pair.onChange { session.edited(view.texts) }
    }

    override fun ask() {
        hideKeyboard(view.text, view.pair)
        session.ask(view.texts)
    }

    override fun takeText() {
        val text = intent.sharedText() ?: return
        view.text.setText(text)
    }

    override fun show() = view.show(session.model, session.state)
}
