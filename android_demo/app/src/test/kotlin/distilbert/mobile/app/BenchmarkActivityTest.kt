// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.Context
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.util.Log
import android.view.View
import android.view.WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON
import android.widget.Button
import android.widget.Spinner
import distilbert.mobile.core.Json
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.benchmark.BenchmarkLog
import distilbert.mobile.testing.Builds
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.shadows.ShadowLog
import java.io.File
import java.util.concurrent.CountDownLatch

@RunWith(RobolectricTestRunner::class)
class BenchmarkActivityTest {
    private val folder get() = app.getExternalFilesDir(null)!!
    private lateinit var world: FakeWorld

    @Before
    fun fakeWorld() {
        app.benchmarkWorld = { ties -> FakeWorld(ties).also { world = it } }
    }

    private fun byAdb(vararg extras: Pair<String, Any>) =
        Intent(app, BenchmarkActivity::class.java).apply {
            for ((name, value) in extras) {
                if (value is Int) putExtra(name, value) else putExtra(name, value as String)
            }
        }

    private fun start(intent: Intent) =
        Robolectric.buildActivity(BenchmarkActivity::class.java, intent).setup()

    private fun lines(): List<String> =
        ShadowLog.getLogsForTag(BenchmarkLog.TAG).orEmpty().map {
            assertEquals(Log.INFO, it.type)
            it.msg
        }

    private fun ended() = waitUntil("it ended") { app.benchmarks.state.hasEnded }

    private val BenchmarkState.hasEnded
        get() = this is BenchmarkState.Done || this is BenchmarkState.Failed

    @Test
    fun `a start by adb writes the report, and the log holds the same`() {
        val intent =
            byAdb("run_id" to "golden", "runs" to 24, "seconds" to 0, "threads" to 2, "seed" to 7)
        start(intent)
        ended()
        val text = File(folder, "benchmark-golden.json").readText()
        assertEquals(listOf("benchmark-golden.json"), folder.list()!!.toList())

        val lines = lines()
        assertEquals("BEGIN golden", lines.first())
        assertEquals("DONE golden $folder/benchmark-golden.json", lines.last())
        assertTrue(lines.any { Regex("PROGRESS golden 34/34 \\d+\\.\\d s").matches(it) })
        val pieces = lines.filter { it.startsWith("JSON golden ") }
        assertTrue(pieces.all { it.length <= 3000 + 40 })
        val numbered = pieces.map { it.split(' ', limit = 4) }
        assertEquals(
            List(pieces.size) { "${it + 1}/${pieces.size}" },
            numbered.map { it[2] },
        )
        assertEquals(text, numbered.joinToString("") { it[3] })

        val golden = Builds.golden.resolve("android_benchmark.json")
        if (System.getProperty("golden.write") == "true") golden.writeText("$text\n")
        assertEquals(golden.readText(), "$text\n")
        assertTrue(world.opened.size == 2 && world.opened.all { it.isClosed })
    }

    @Test
    fun `natural alone has no padded figures`() {
        start(byAdb("run_id" to "a", "lengths" to "natural", "runs" to 4, "seconds" to 0))
        ended()
        val json = Json.parse(File(folder, "benchmark-a.json").readText())
        val latency = json["runs"].items().single()["latency"]
        val subject = latency["subjects"]["student-int8.tflite"]
        assertNull(subject.optional("padded"))
        assertEquals(8, subject["natural"]["count"].integer())
        assertEquals(0, latency["ratios"].items().size)
        assertFalse(json["valid"].flag())
        assertTrue("NOT VALID" in latency["method"].text())
        assertEquals(1, world.opened.size)
    }

    @Test
    fun `a bad start is refused with one line`() {
        start(byAdb("run_id" to "b", "runs" to 0))
        start(byAdb("run_id" to "b/../c"))
        start(byAdb("run_id" to "c", "foo" to "bar"))
        settle()
        val lines = lines()
        assertEquals(3, lines.size)
        assertEquals("FAILED b runs: got 0; 1 to 1000000 are allowed", lines[0])
        assertTrue(lines[1], Regex("FAILED \\S+ run_id: got b/\\.\\./c; .*").matches(lines[1]))
        assertTrue(lines[2], lines[2].startsWith("FAILED c foo: unknown"))
        assertEquals(0, folder.list()!!.size)
    }

    @Test
    fun `a second start is refused while one runs`() {
        val gate = CountDownLatch(1)
        app.benchmarkWorld = { ties ->
            FakeWorld(ties) { FakeModel().also { it.gate = gate } }
        }
        val controller = start(byAdb("run_id" to "one", "runs" to 4, "seconds" to 0))
        val screen = controller.get()
        assertEquals("Stop", screen.textOf(R.id.start))
        assertFalse(screen.findViewById<View>(R.id.threads).isEnabled)
        assertTrue(screen.window.attributes.flags and FLAG_KEEP_SCREEN_ON != 0)
        controller.newIntent(byAdb("run_id" to "two"))
        assertTrue(lines().any { it.startsWith("FAILED two A benchmark is running") })
        gate.countDown()
        ended()
        assertTrue(lines().last().startsWith("DONE one "))
        assertTrue(screen.window.attributes.flags and FLAG_KEEP_SCREEN_ON == 0)
    }

    @Test
    fun `it goes on while the screen is turned, and can be stopped`() {
        val gate = CountDownLatch(1)
        app.benchmarkWorld = { ties ->
            FakeWorld(ties) { FakeModel().also { it.gate = gate } }
        }
        val controller = start(byAdb("run_id" to "one", "runs" to 4, "seconds" to 0))
        RuntimeEnvironment.setQualifiers("+land")
        controller.configurationChange()
        assertEquals("Stop", controller.get().textOf(R.id.start))
        assertEquals(1, lines().count { it.startsWith("BEGIN") })
        controller.get().findViewById<Button>(R.id.start).performClick()
        ended()
        assertTrue("Stopped" in controller.get().textOf(R.id.problem))
        assertTrue(lines().last().startsWith("FAILED one Stopped"))
        assertEquals(0, folder.list()!!.size)
    }

    @Test
    fun `what goes wrong is one line in the log and a sentence on the screen`() {
        val wrong =
            mapOf<() -> Nothing, String>(
                { throw ModelException("the model\nis missing") } to "is missing",
                { throw OutOfMemoryError("big") } to "not enough free memory",
                { throw UnsatisfiedLinkError("x") } to "no library",
                { throw IllegalStateException("odd") } to "odd",
            )
        for ((open, expected) in wrong) {
            ShadowLog.clear()
            app.benchmarkWorld = { ties -> FakeWorld(ties) { open() } }
            val screen = start(byAdb("run_id" to "x")).get()
            ended()
            assertTrue(expected in screen.textOf(R.id.problem))
            assertTrue(lines().last(), lines().last().startsWith("FAILED x "))
            assertFalse('\n' in lines().last())
        }
    }

    @Test
    fun `an input longer than the model takes is refused`() {
        start(byAdb("run_id" to "x", "pad_to" to 513))
        ended()
        assertEquals(
            "FAILED x pad_to: got 513; 384 (the longest window) to 512 (the model's longest " +
                "input) are allowed",
            lines().last(),
        )
        assertTrue(world.opened.all { it.isClosed })
    }

    @Test
    fun `the screen starts it by a tap and shows and shares what it found`() {
        val screen = start(BenchmarkActivity.screen(app)).get()
        assertEquals("Start", screen.textOf(R.id.start))
        screen.findViewById<Spinner>(R.id.effort).setSelection(1)
        settle()
        screen.findViewById<Button>(R.id.start).performClick()
        ended()
        assertTrue("median of 34 queries" in screen.textOf(R.id.figures))
        assertTrue("Not a valid figure" in screen.textOf(R.id.cautions))
        val plot = screen.findViewById<PlotView>(R.id.plot)
        assertTrue("Padded from" in plot.contentDescription)
        screen.findViewById<Button>(R.id.share).performClick()
        val chooser = shadowOf(screen).nextStartedActivity

        @Suppress("DEPRECATION")
        val sent = chooser.getParcelableExtra<Intent>(Intent.EXTRA_INTENT)!!

        @Suppress("DEPRECATION")
        val uri = sent.getParcelableExtra<Uri>(Intent.EXTRA_STREAM)!!
        assertEquals("application/json", sent.type)
        assertEquals(uri, sent.clipData!!.getItemAt(0).uri)
        assertTrue(sent.flags and Intent.FLAG_GRANT_READ_URI_PERMISSION != 0)
        val shared = app.contentResolver.openInputStream(uri)!!.use { it.readBytes() }
        val file = (app.benchmarks.state as BenchmarkState.Done).file
        assertEquals(file.readText(), shared.decodeToString())
    }

    @Test
    fun `only reports are shared, and only for reading`() {
        Robolectric.setupContentProvider(ReportProvider::class.java, AUTHORITY)
        File(folder, "secret.json").writeText("x")
        File(folder, "benchmark-a.json").writeText("{}")
        val resolver = app.contentResolver
        for (path in listOf("secret.json", "../x", "..%2Fsecret.json", "", "benchmark-b.json")) {
            val error =
                runCatching { resolver.openInputStream(Uri.parse("content://$AUTHORITY/$path")) }
            assertTrue(path, error.isFailure)
        }
        val uri = ReportProvider.uri(app, File("benchmark-a.json"))
        assertEquals("content://$AUTHORITY/benchmark-a.json", uri.toString())
        for (mode in listOf("w", "rw", "wt")) {
            assertTrue(runCatching { resolver.openFileDescriptor(uri, mode) }.isFailure)
        }
        assertTrue(runCatching { resolver.delete(uri, null, null) }.isFailure)
        resolver.query(uri, null, null, null, null)!!.use {
            assertTrue(it.moveToFirst())
            assertEquals("benchmark-a.json", it.getString(0))
            assertEquals(2, it.getInt(1))
        }
        assertEquals("{}", File(folder, "benchmark-a.json").readText())
    }

    @Test
    fun `a screen that comes back starts nothing`() {
        start(byAdb("run_id" to "a").addFlags(Intent.FLAG_ACTIVITY_LAUNCHED_FROM_HISTORY))
        Robolectric
            .buildActivity(BenchmarkActivity::class.java, byAdb("run_id" to "a"))
            .setup(Bundle())
        settle()
        assertEquals(emptyList<String>(), lines())
    }

    @Test
    fun `what was not measured in peace is said`() {
        val gate = CountDownLatch(1)
        app.benchmarkWorld = { ties ->
            FakeWorld(ties) { FakeModel().also { it.gate = gate } }
        }
        app.openModel = { FakeModel() }
        Robolectric.buildActivity(MainActivity::class.java).setup()
        settle()
        val controller = start(byAdb("run_id" to "one", "runs" to 4, "seconds" to 0))
        controller.pause().stop()
        gate.countDown()
        ended()
        val warnings = (app.benchmarks.state as BenchmarkState.Done).result.warnings
        assertTrue(warnings.any { "not on the screen" in it })
        assertTrue(warnings.any { "cold start" in it })
    }

    @Test
    fun `without shared storage it says so`() {
        org.robolectric.shadows.ShadowEnvironment
            .setExternalStorageState("removed")
        val context: Context = app
        if (context.getExternalFilesDir(null) != null) return
        start(byAdb("run_id" to "x"))
        ended()
        assertTrue("storage" in lines().last())
    }

    private companion object {
        const val AUTHORITY = "distilbert.mobile.app.reports"
    }
}
