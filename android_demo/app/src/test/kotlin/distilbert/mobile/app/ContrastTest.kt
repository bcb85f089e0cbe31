// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.graphics.Color
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import kotlin.math.max
import kotlin.math.min

/** WCAG 2.1's AA: 4.5 to 1 for text (1.4.3), 3 to 1 for what else must be seen (1.4.11). */
@RunWith(RobolectricTestRunner::class)
class ContrastTest {
    private fun check() {
        val texts =
            listOf(
                R.color.text to R.color.background,
                R.color.text to R.color.surface,
                R.color.text to R.color.chip,
                R.color.text_secondary to R.color.background,
                R.color.text_secondary to R.color.surface,
                R.color.text_secondary to R.color.chip,
                R.color.on_accent to R.color.accent,
                R.color.on_highlight to R.color.highlight,
                R.color.on_problem to R.color.problem,
            )
        val marks =
            listOf(
                R.color.accent to R.color.background,
                R.color.outline to R.color.background,
                R.color.outline to R.color.surface,
                R.color.plot_natural to R.color.surface,
                R.color.plot_padded to R.color.surface,
            )
        for ((pairs, least) in listOf(texts to 4.5, marks to 3.0)) {
            for ((one, other) in pairs) {
                val found = contrast(app.getColor(one), app.getColor(other))
                val names = listOf(one, other).map { app.resources.getResourceEntryName(it) }
                assertTrue("$names: $found, at least $least is needed", found >= least)
            }
        }
    }

    @Test
    fun `light colors can be read`() = check()

    @Test
    @Config(qualifiers = "+night")
    fun `dark colors can be read`() = check()

    private fun contrast(one: Int, other: Int): Double {
        val (first, second) = listOf(one, other).map { Color.luminance(it) + 0.05 }
        return max(first, second) / min(first, second)
    }
}
