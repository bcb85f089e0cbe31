// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.app.Activity
import android.graphics.Bitmap
import android.graphics.Canvas
import android.os.Looper
import android.view.View
import android.view.View.MeasureSpec
import android.view.inputmethod.EditorInfo
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.Spinner
import android.widget.TextView
import distilbert.mobile.answerer.QuestionAnswerer
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.SelfTest
import distilbert.mobile.core.spans.AnswerModel
import distilbert.mobile.testing.Builds
import distilbert.mobile.testing.HostRuntime
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TestName
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import java.io.File

/**
 * The screens as a user sees them: nothing is cut off, the answer is in view, what is tapped is
 * large enough and has a name. `-Dscreenshots.folder=DIR` writes the pictures there; with a model
 * in `model.folder` and its runtime for this machine, the answers are that model's.
 */
@RunWith(RobolectricTestRunner::class)
class ScreenshotTest {
    @get:Rule
    val name = TestName()

    private val isReal = HostRuntime.missing == null && Builds.real.resolve(REAL_FILE).isFile

    @Before
    fun openReal() {
        if (isReal) HostRuntime.load()
        app.openModel = ::open
    }

    private fun open(): AnswerModel =
        if (isReal) {
            val found = QuestionAnswerer.fromFolder(Builds.real, REAL_FILE, threads = 1)
            // Tested where it is built: dozens of answers would delay each picture.
            object : AnswerModel by found {
                override fun selfTest(isCancelled: () -> Boolean, onProgress: (Int, Int) -> Unit) =
                    SelfTest(cases = 0, largestError = 0f, nearTies = 0, problem = null)
            }
        } else {
            FakeModel().also { it.known.putAll(ANSWERS) }
        }

    private fun main(fontScale: Float = 1f): MainActivity {
        RuntimeEnvironment.setFontScale(fontScale)
        val screen =
            Robolectric
                .buildActivity(MainActivity::class.java)
                .setup()
                .visible()
                .get()
                .withBars()
        settle()
        return screen
    }

    private fun benchmark(fontScale: Float = 1f): BenchmarkActivity {
        RuntimeEnvironment.setFontScale(fontScale)
        val intent = BenchmarkActivity.screen(app)
        val screen =
            Robolectric
                .buildActivity(BenchmarkActivity::class.java, intent)
                .setup()
                .visible()
                .get()
                .withBars()
        settle()
        return screen
    }

    private fun MainActivity.choose(sample: Int, question: Int) {
        chips(R.id.samples)[sample].performClick()
        settle()
        chips(R.id.suggestions)[question].performClick()
        settle()
        findViewById<View>(R.id.passage_scroll).draw()
    }

    private fun MainActivity.chips(id: Int): List<Button> =
        findViewById<LinearLayout>(id).let { row ->
            (0 until row.childCount).map { row.getChildAt(it) as Button }
        }

    private fun MainActivity.askAbout(question: String) {
        findViewById<EditText>(R.id.question).run {
            setText(question)
            onEditorAction(EditorInfo.IME_ACTION_SEARCH)
        }
        settle()
    }

    /** Asks the light house's third question, whose answer is in view then. */
    private fun answered(fontScale: Float = 1f) {
        val screen = main(fontScale)
        screen.choose(0, 2)
        take(screen)
        assertEquals("34 kilometres", screen.marked(R.id.answer))
        assertAnswerInView(screen)
        // English begins at the left, also on a screen that begins at the right.
        for (id in listOf(R.id.passage, R.id.question, R.id.answer)) {
            assertEquals(0f, screen.findViewById<TextView>(id).layout.getLineLeft(0))
        }
    }

    @Test
    fun phone() = answered()

    @Test
    @Config(qualifiers = "+night")
    fun phoneDark() = answered()

    @Test
    @Config(qualifiers = "w891dp-h411dp-land")
    fun phoneLandscape() = answered()

    @Test
    @Config(qualifiers = "w1280dp-h800dp-xlarge-land-mdpi")
    fun tablet() = answered()

    @Test
    @Config(qualifiers = "w320dp-h569dp-hdpi")
    fun phoneSmall() = answered()

    @Test
    fun phoneLargeFont() = answered(fontScale = 2f)

    @Test
    @Config(qualifiers = "w891dp-h411dp-land")
    fun phoneLandscapeLargeFont() = answered(fontScale = 2f)

    @Test
    @Config(qualifiers = "+ar-ldrtl")
    fun phoneRightToLeft() = answered()

    @Test
    fun phoneStart() = take(main())

    @Test
    fun phoneLongText() {
        val screen = main()
        screen.choose(3, 3)
        take(screen)
        assertAnswerInView(screen)
        val scroll = screen.findViewById<ScrollView>(R.id.passage_scroll)
        assertTrue("${scroll.scrollY}", scroll.scrollY > 0)
    }

    /** What a small student answered once: wrong, and not to be shown as if it were right. */
    @Test
    fun phoneLowConfidence() {
        app.openModel = {
            FakeModel().also {
                it.known.putAll(ANSWERS)
                it.confidence = 0.21
            }
        }
        val screen = main()
        screen.choose(3, 0)
        take(screen)
        assertTrue("Not sure" in screen.textOf(R.id.caution))
    }

    @Test
    fun phoneDetails() = detailed()

    @Test
    @Config(qualifiers = "w891dp-h411dp-land")
    fun phoneLandscapeDetails() = detailed()

    private fun detailed() {
        val screen = main()
        screen.choose(0, 2)
        screen.findViewById<View>(R.id.disclosure).performClick()
        take(screen)
        assertTrue(screen.isShown(R.id.details))
    }

    @Test
    fun phoneNoAnswer() {
        app.openModel = { FakeModel(mayAbstain = true) }
        val screen = main()
        screen.askAbout("What colour is the emperor's dog?")
        take(screen)
        assertEquals("No answer found", screen.textOf(R.id.answer))
    }

    @Test
    fun phoneOwnText() {
        val screen = main()
        screen.chips(R.id.samples)[4].performClick()
        settle()
        take(screen)
    }

    @Test
    fun phoneTesting() {
        val gate = java.util.concurrent.CountDownLatch(1)
        app.openModel = { FakeModel().also { it.gate = gate } }
        val screen =
            Robolectric
                .buildActivity(MainActivity::class.java)
                .setup()
                .visible()
                .get()
                .withBars()
        waitUntil("it is tested") { "1 of 2" in screen.textOf(R.id.status) }
        take(screen)
        gate.countDown()
        settle()
    }

    @Test
    fun phoneWrongRuntime() {
        app.openModel = {
            FakeModel().also {
                it.problem =
                    "TensorFlow Lite 2.16.1 on arm64-v8a computes student-int8.tflite wrongly: " +
                    "27 of 29 answers differ. Ship student-int8-per-tensor.tflite, or LiteRT " +
                    "1.0.1 or later."
            }
        }
        take(main())
    }

    @Test
    @Config(qualifiers = "+night")
    fun phoneNoModelDark() {
        app.openModel = {
            throw ModelException(
                "assets/model/model.json is missing: copy the whole folder that the build wrote",
            )
        }
        take(main())
    }

    @Test
    fun phoneOutOfMemoryLargeFont() {
        app.openModel = { throw OutOfMemoryError() }
        take(main(fontScale = 2f))
    }

    @Test
    fun classifier() = classified()

    @Test
    fun classifierLargeFont() = classified(fontScale = 2f)

    @Test
    @Config(qualifiers = "w891dp-h411dp-land-night")
    fun classifierLandscapeDark() = classified()

    @Test
    @Config(qualifiers = "w1280dp-h800dp-xlarge-land-mdpi")
    fun benchmarkTablet() = measured()

    private fun classified(fontScale: Float = 1f) {
        RuntimeEnvironment.setFontScale(fontScale)
        app.openClassifier = { FakeClassifier() }
        val screen =
            Robolectric
                .buildActivity(ClassifierActivity::class.java)
                .setup()
                .visible()
                .get()
                .withBars()
        screen.findViewById<EditText>(R.id.text).setText("What a fine day for a walk!")
        screen.findViewById<Button>(R.id.ask).performClick()
        settle()
        take(screen)
        assertEquals("positive", screen.textOf(R.id.answer))
    }

    @Test
    fun benchmarkStart() = take(benchmark())

    @Test
    fun benchmarkResult() = measured()

    @Test
    @Config(qualifiers = "+night")
    fun benchmarkResultDark() = measured()

    @Test
    fun benchmarkLargeFont() = measured(fontScale = 2f)

    /** All of it: the screen is made as high as what it scrolls. */
    private fun measured(fontScale: Float = 1f) {
        app.benchmarkWorld = { FakeWorld(it) }
        val screen = benchmark(fontScale)
        screen.findViewById<Spinner>(R.id.effort).setSelection(1)
        settle()
        screen.findViewById<Button>(R.id.start).performClick()
        waitUntil("it ended") { app.benchmarks.state is BenchmarkState.Done }
        take(screen, isWhole = true)
    }

    private fun take(screen: Activity, isWhole: Boolean = false) {
        shadowOf(Looper.getMainLooper()).idle()
        val root = screen.window.decorView
        if (isWhole) {
            val scroll = screen.findViewById<ScrollView>(R.id.scroll)
            val height = root.height + scroll.getChildAt(0).height - scroll.height
            root.measure(
                MeasureSpec.makeMeasureSpec(root.width, MeasureSpec.EXACTLY),
                MeasureSpec.makeMeasureSpec(height, MeasureSpec.EXACTLY),
            )
            root.layout(0, 0, root.width, height)
        }
        val picture = root.draw()
        screen.drawBars(Canvas(picture))
        System.getProperty("screenshots.folder")?.let { picture.writeTo(File(it)) }
        root.all().forEach(::assertWhole)
        root.all().filter { it.isClickable && it.isShown }.forEach(::assertCanBeTapped)
    }

    private fun Bitmap.writeTo(folder: File) {
        val title = name.methodName.replace(Regex("[A-Z]")) { "-" + it.value.lowercase() }
        folder.mkdirs()
        File(folder, "$title.png").outputStream().use {
            compress(Bitmap.CompressFormat.PNG, 100, it)
        }
    }

    private fun View.draw(): Bitmap {
        viewTreeObserver.dispatchOnPreDraw()
        val bitmap = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888)
        draw(Canvas(bitmap))
        return bitmap
    }

    private fun assertAnswerInView(screen: MainActivity) {
        val scroll = screen.findViewById<ScrollView>(R.id.passage_scroll)
        val passage = screen.findViewById<EditText>(R.id.passage)
        val at = passage.text.indexOf(screen.marked(R.id.passage))
        val line = passage.layout.getLineForOffset(at)
        val top = passage.totalPaddingTop + passage.layout.getLineTop(line) - scroll.scrollY
        val bottom = passage.totalPaddingTop + passage.layout.getLineBottom(line) - scroll.scrollY
        assertTrue("line at $top to $bottom of ${scroll.height}", top >= 0)
        assertTrue("line at $top to $bottom of ${scroll.height}", bottom <= scroll.height)
    }

    private companion object {
        val ANSWERS =
            mapOf(
                "From how far can the beam be seen?" to "34 kilometres",
                "Which schoolteacher chained herself to the parapet?" to "Rosalind Pike",
                "Which birds nest in the holes?" to
                    "the eleven pupils. The holes for the charges were never filled. Swallows",
            )

        /** The one that the runtime of these tests computes right everywhere. */
        const val REAL_FILE = "student-int8-per-tensor.tflite"
    }
}
