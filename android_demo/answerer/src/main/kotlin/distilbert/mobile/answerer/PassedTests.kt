// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import android.content.Context
import android.content.Context.MODE_PRIVATE
import distilbert.mobile.core.TaskModel

/**
 * Remembers which model was right on which runtime, so that the self-test runs once.
 *
 * Only a pass is remembered: a failure is rare, and testing again shows when it is over. Another
 * model, another runtime, another installation of the app or another version of the system is
 * tested anew. A model is known by the digest that `model.json` states, so use none here that was
 * opened with `verify = false`.
 */
class PassedTests(context: Context) {
    private val preferences = context.getSharedPreferences("self-tests", MODE_PRIVATE)
    private val installation = installation(context)

    /** Whether [model] passed its self-test. */
    operator fun contains(model: TaskModel): Boolean = preferences.getBoolean(key(model), false)

    /** Remembers that [model] passed its self-test. */
    fun add(model: TaskModel) = preferences.edit().putBoolean(key(model), true).apply()

    private fun key(model: TaskModel) = "${model.file.sha256} ${model.runtime} $installation"
}
