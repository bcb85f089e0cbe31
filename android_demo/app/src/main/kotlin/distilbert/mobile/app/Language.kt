// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.Context
import android.content.res.Configuration
import java.util.Locale

/**
 * This context with numbers in the language of its sentences, which may not be the user's: Arabic
 * digits in an English sentence are read in the wrong order. The layout's direction stays.
 */
internal fun Context.inLanguageOfSentences(): Context {
    val users = resources.configuration.locales[0]
    val change = Configuration()
    change.fontScale = 0f // a new configuration has 1, which would replace the user's
    change.setLocale(Locale.forLanguageTag(getString(R.string.language)))
    change.setLayoutDirection(users)
    return createConfigurationContext(change)
}
