// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.Intent
import distilbert.mobile.core.Json
import distilbert.mobile.core.benchmark.BenchmarkLog
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.shadows.ShadowLog
import java.io.File
import java.util.Locale

/** A phone that writes other digits: names of files, the log and the plot have ASCII ones. */
@RunWith(RobolectricTestRunner::class)
class LocaleTest {
    private val before = Locale.getDefault()

    @After
    fun restore() = Locale.setDefault(before)

    @Test
    fun `in Arabic of Egypt`() = check("ar-EG-u-nu-arab")

    @Test
    fun `in Persian`() = check("fa-u-nu-arabext")

    @Test
    fun `in Bengali`() = check("bn-u-nu-beng")

    private fun check(tag: String) {
        Locale.setDefault(Locale.forLanguageTag(tag))
        assertTrue("$tag writes ASCII digits here", "%d".format(Locale.getDefault(), 5) != "5")
        for ((most, expected) in listOf(
            0.37 to listOf("0.0", "0.1", "0.2", "0.3", "0.4"),
            43.0 to listOf("0", "10", "20", "30", "40", "50"),
        )) {
            val axis = PlotView.Axis(most)
            assertEquals(expected, axis.ticks.map(axis::label))
        }
        app.benchmarkWorld = { ties -> FakeWorld(ties) }
        val intent = Intent(app, BenchmarkActivity::class.java)
        intent.putExtra("runs", 4).putExtra("seconds", 0)
        Robolectric.buildActivity(BenchmarkActivity::class.java, intent).setup()
        waitUntil("it ended") { app.benchmarks.state is BenchmarkState.Done }
        val file = app.getExternalFilesDir(null)!!.listFiles()!!.single()
        assertTrue(
            file.name,
            Regex("benchmark-[0-9]{8}-[0-9]{6}[-0-9a-f]*\\.json").matches(file.name),
        )
        Json.parse(File(file.path).readText())
        val lines = ShadowLog.getLogsForTag(BenchmarkLog.TAG).map { it.msg }
        for (line in lines) {
            assertTrue(line, line.none { it.isDigit() && it !in '0'..'9' })
        }
        assertTrue(lines.toString(), lines.first().startsWith("BEGIN "))
    }
}
