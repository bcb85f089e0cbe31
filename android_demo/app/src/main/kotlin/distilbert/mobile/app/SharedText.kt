// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.Intent

/**
 * The text that another app sent with this intent, or that was selected there; empty if there was
 * none, and null for an intent of another kind.
 */
internal fun Intent.sharedText(): String? =
    when (action) {
        Intent.ACTION_SEND -> getCharSequenceExtra(Intent.EXTRA_TEXT)?.toString().orEmpty()
        Intent.ACTION_PROCESS_TEXT ->
            getCharSequenceExtra(Intent.EXTRA_PROCESS_TEXT)?.toString().orEmpty()
        else -> null
    }
