// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.app.Activity
import android.content.res.Resources
import android.view.inputmethod.InputMethodManager
import android.widget.Button
import android.widget.EditText
import android.widget.ProgressBar
import android.widget.TextView
import distilbert.mobile.core.TaskModel
import distilbert.mobile.core.Times

/** The views of any task's screen that show the model's state, and what the model does. */
internal class ModelStatus(activity: Activity, private val action: Int) {
    private val problem: TextView = activity.findViewById(R.id.problem)
    private val progress: ProgressBar = activity.findViewById(R.id.progress)
    private val status: TextView = activity.findViewById(R.id.status)
    private val button: Button = activity.findViewById(R.id.ask)
    private val resources: Resources = activity.resources

    /** Shows the model's state and the query's. */
    fun show(model: ModelState<TaskModel>, state: QueryState<*, *>) {
        val isAsking = state is QueryState.Running
        problem.showText(problem(model, state)?.text(resources))
        button.isEnabled = model !is ModelState.Unusable
        button.setText(if (isAsking) R.string.cancel else action)
        progress.visibleIf(
            model !is ModelState.Unusable && (model !is ModelState.Ready || isAsking),
        )
        progress.isIndeterminate = model !is ModelState.Testing
        if (model is ModelState.Testing) {
            progress.max = model.of
            progress.progress = model.done
        }
        status.showText(status(model, isAsking))
    }

    /** The line of details on the model's file, null while there is none. */
    fun file(model: ModelState<TaskModel>): String? =
        (model as? ModelState.Ready)?.model?.run {
            resources.getString(R.string.ready, file.path, runtime)
        }

    /** The line of details on what took how long. */
    fun times(times: Times): String =
        with(times) { resources.getString(R.string.times, tokenizing, inference, decoding) }

    private fun problem(model: ModelState<TaskModel>, state: QueryState<*, *>): Message? =
        (model as? ModelState.Unusable)?.reason ?: (state as? QueryState.Failed)?.reason

    private fun status(model: ModelState<TaskModel>, isAsking: Boolean): String? =
        when (model) {
            is ModelState.Opening -> resources.getString(R.string.opening)
            is ModelState.Testing -> resources.getString(R.string.testing, model.done, model.of)
            is ModelState.Ready ->
                if (isAsking) resources.getString(R.string.answering) else null
            is ModelState.Unusable -> null
        }
}

/** Hides the keyboard, and takes the focus away from [fields]. */
internal fun Activity.hideKeyboard(vararg fields: EditText) {
    getSystemService(InputMethodManager::class.java)
        .hideSoftInputFromWindow(fields.first().windowToken, 0)
    fields.forEach { it.clearFocus() }
}
