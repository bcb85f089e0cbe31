// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import android.content.Context
import android.content.Context.MODE_PRIVATE
import android.os.Build
import java.util.concurrent.ConcurrentHashMap

/** This installation of the app on this version of the system. */
internal fun installation(context: Context): String =
    context.packageManager.getPackageInfo(context.packageName, 0).let {
        "${it.versionName} ${it.lastUpdateTime} ${Build.FINGERPRINT}"
    }

/** Remembers which files had the digests that are stated for them, so that each is read once. */
internal interface Verified {
    operator fun contains(state: String): Boolean

    fun add(state: String)

    /** As long as this process runs, for files on disk. */
    object InProcess : Verified {
        private val states: MutableSet<String> = ConcurrentHashMap.newKeySet()

        override fun contains(state: String) = state in states

        override fun add(state: String) {
            states.add(state)
        }
    }

    /** As long as the app is not updated, for its assets. */
    class OfInstallation(context: Context) : Verified {
        private val preferences = context.getSharedPreferences("verified-assets", MODE_PRIVATE)
        private val installation = installation(context)

        override fun contains(state: String) = preferences.getBoolean("$installation $state", false)

        override fun add(state: String) =
            preferences.edit().putBoolean("$installation $state", true).apply()
    }
}
