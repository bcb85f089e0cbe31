// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.graphics.Color
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import java.io.File
import javax.xml.parsers.DocumentBuilderFactory
import kotlin.math.max
import kotlin.math.min

/** WCAG 2.1's AA: 4.5 to 1 for text (1.4.3), 3 to 1 for what else must be seen (1.4.11). */
@RunWith(RobolectricTestRunner::class)
class ContrastTest {
    private fun check(color: (Int) -> Int = app::getColor) {
        val texts =
            listOf(
                R.color.text to R.color.background,
                R.color.text to R.color.surface,
                R.color.text to R.color.field,
                R.color.text_secondary to R.color.background,
                R.color.text_secondary to R.color.surface,
                R.color.text_secondary to R.color.field,
                R.color.on_accent to R.color.accent,
                R.color.on_highlight to R.color.highlight,
                R.color.on_chip to R.color.chip,
                R.color.accent to R.color.background, // in the bar
                R.color.accent to R.color.surface, // details
                R.color.on_caution to R.color.caution,
                R.color.on_problem to R.color.problem,
            )
        val marks =
            listOf(
                R.color.accent to R.color.field,
                R.color.outline to R.color.background,
                R.color.outline to R.color.surface,
                R.color.plot_natural to R.color.surface,
                R.color.plot_padded to R.color.surface,
            )
        for ((pairs, least) in listOf(texts to 4.5, marks to 3.0)) {
            for ((one, other) in pairs) {
                val found = contrast(color(one), color(other))
                val names = listOf(one, other).map(::nameOf)
                assertTrue("$names: $found, at least $least is needed", found >= least)
            }
        }
    }

    @Test
    fun `light colors can be read`() = check()

    @Test
    @Config(qualifiers = "+night")
    fun `dark colors can be read`() = check()

    /** The tests run on a later Android, which takes the colors of its wallpaper: read the files. */
    @Test
    fun `colors before Android 12 can be read`() {
        val light = colors("values")
        check { light.getValue(nameOf(it)) }
        val dark = light + colors("values-night")
        check { dark.getValue(nameOf(it)) }
    }

    private fun nameOf(color: Int) = app.resources.getResourceEntryName(color)

    private fun colors(folder: String): Map<String, Int> {
        val file = File("src/main/res/$folder/colors.xml")
        val colors =
            DocumentBuilderFactory
                .newInstance()
                .newDocumentBuilder()
                .parse(file)
                .getElementsByTagName("color")
        return (0 until colors.length).map { colors.item(it) }.associate {
            it.attributes.getNamedItem("name").nodeValue to Color.parseColor(it.textContent)
        }
    }

    private fun contrast(one: Int, other: Int): Double {
        val (first, second) = listOf(one, other).map { Color.luminance(it) + 0.05 }
        return max(first, second) / min(first, second)
    }
}
