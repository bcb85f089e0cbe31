// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.Context
import android.content.Context.MODE_PRIVATE
import distilbert.mobile.core.TaskModel

/**
 * Remembers which model was right on which runtime, so that the self-test runs once.
 *
 * Only a pass is remembered: a failure is rare, and testing again shows when it is over. Another
 * model, another runtime or another installation of the app is tested anew.
 */
internal class PassedTests(context: Context) {
    private val preferences = context.getSharedPreferences("self-tests", MODE_PRIVATE)
    private val installation =
        context.packageManager.getPackageInfo(context.packageName, 0).let {
            "${it.versionName} ${it.lastUpdateTime}"
        }

    operator fun contains(model: TaskModel) = preferences.getBoolean(key(model), false)

    fun add(model: TaskModel) = preferences.edit().putBoolean(key(model), true).apply()

    private fun key(model: TaskModel) = "${model.file.sha256} ${model.runtime} $installation"
}
