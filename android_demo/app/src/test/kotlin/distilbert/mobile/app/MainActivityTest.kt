// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.ClipData
import android.content.ClipboardManager
import android.content.Intent
import android.os.Bundle
import android.os.Parcel
import android.view.View
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.ScrollView
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.spans.Answer
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import java.util.concurrent.CountDownLatch

@RunWith(RobolectricTestRunner::class)
class MainActivityTest {
    private val model = FakeModel()

    private fun start(
        intent: Intent = Intent(Intent.ACTION_MAIN),
    ): ActivityController<MainActivity> {
        app.openModel = { model }
        return Robolectric.buildActivity(MainActivity::class.java, intent).setup()
    }

    private fun started(intent: Intent = Intent(Intent.ACTION_MAIN)): MainActivity =
        start(intent).get().also { settle() }

    private fun MainActivity.ask(question: String) {
        findViewById<EditText>(R.id.question).setText(question)
        findViewById<Button>(R.id.ask).performClick()
    }

    private val MainActivity.passage get() = findViewById<EditText>(R.id.passage)

    private fun MainActivity.marked() = marked(R.id.passage)

    private fun MainActivity.chips(id: Int): List<Button> =
        findViewById<LinearLayout>(id).let { row ->
            (0 until row.childCount).map { row.getChildAt(it) as Button }
        }

    @Test
    fun `begins with a sample, and a suggestion is asked and answered`() {
        val screen = started()
        assertTrue(screen.passage.text.startsWith("The lighthouse"))
        assertEquals(5, screen.chips(R.id.suggestions).size)
        val suggestion = screen.chips(R.id.suggestions)[4]
        assertEquals("Who was the last keeper?", suggestion.text)
        suggestion.performClick()
        settle()
        val sentence =
            "The last keeper, Olaf Berg, left the rock in 1981, when the station was automated."
        assertEquals(sentence, screen.textOf(R.id.answer))
        assertEquals("keeper", screen.marked(R.id.answer))
        assertEquals("keeper", screen.marked())
        assertFalse(screen.isShown(R.id.caution))
        assertEquals(
            "Weight of this place 90\u00a0% · Score 7.5 · 1 window\n" +
                "Tokenizing 0.3\u00a0ms · inference 15.0\u00a0ms · decoding 0.1\u00a0ms\n" +
                "student-int8.tflite on TensorFlow Lite 2.16.1",
            screen.textOf(R.id.details),
        )
        assertEquals(
            "Answer: keeper. In the text: $sentence",
            screen.findViewById<View>(R.id.answer).contentDescription,
        )
    }

    @Test
    fun `the answer is scrolled to`() {
        val screen = started()
        screen.chips(R.id.samples)[3].performClick()
        screen.ask("What do Swallows?")
        settle()
        val scroll = screen.findViewById<ScrollView>(R.id.passage_scroll)
        waitUntil("it is scrolled") { scroll.scrollY > 0 }
        val layout = screen.passage.layout
        val line = layout.getLineForOffset(screen.passage.text.indexOf("Swallows"))
        val top = screen.passage.totalPaddingTop + layout.getLineTop(line) - scroll.scrollY
        assertTrue("$top of ${scroll.height}", top in 0..scroll.height - layout.getLineBottom(0))
    }

    @Test
    fun `a guess of a model that may not abstain is an answer, with a caution`() {
        model.confidence = 0.1
        val screen = started()
        screen.ask("Who saw the elephant?")
        settle()
        assertEquals("The", screen.marked(R.id.answer).trim())
        assertTrue("only 10\u00a0%" in screen.textOf(R.id.caution))
        assertFalse(screen.isShown(R.id.reason))
        assertTrue(screen.isShown(R.id.copy) && screen.isShown(R.id.share))
    }

    @Test
    fun `a model that may abstain is believed`() {
        app.openModel = { FakeModel(mayAbstain = true) }
        val screen = Robolectric.buildActivity(MainActivity::class.java).setup().get()
        screen.ask("Who saw the elephant?")
        settle()
        assertEquals("No answer found", screen.textOf(R.id.answer))
        assertTrue("finds nothing" in screen.textOf(R.id.reason))
        assertFalse(screen.isShown(R.id.copy) || screen.isShown(R.id.share))
        assertEquals("", screen.marked())
    }

    @Test
    fun `an empty text or question gets a sentence`() {
        val screen = started()
        screen.ask(" ")
        assertTrue("no question" in screen.textOf(R.id.problem))
        screen.chips(R.id.samples)[4].performClick()
        assertEquals("", screen.passage.text.toString())
        screen.ask("Who?")
        assertTrue("no text" in screen.textOf(R.id.problem))
        screen.passage.setText("Anna")
        assertFalse(screen.isShown(R.id.problem))
        assertEquals(0, model.asked)
    }

    @Test
    fun `an edit takes the answer away`() {
        val screen = started()
        screen.ask("Who was the engineer?")
        settle()
        assertEquals("engineer", screen.marked())
        screen.passage.append("!")
        assertEquals("", screen.marked())
        assertFalse(screen.isShown(R.id.card))
        assertTrue(screen.chips(R.id.samples)[4].isSelected)
        assertTrue(screen.chips(R.id.suggestions).isEmpty())
    }

    @Test
    fun `a question can be taken back`() {
        val screen = started()
        model.gate = CountDownLatch(1)
        screen.ask("Who was the engineer?")
        waitUntil("it is asked") { model.asked == 1 }
        assertEquals("Cancel", screen.textOf(R.id.ask))
        screen.findViewById<Button>(R.id.ask).performClick()
        settle()
        assertEquals("Ask", screen.textOf(R.id.ask))
        assertFalse(screen.isShown(R.id.card))
    }

    @Test
    fun `turning the screen keeps the answer, and one that is on its way`() {
        val controller = start()
        settle()
        model.gate = CountDownLatch(1)
        controller.get().ask("Who was the engineer?")
        waitUntil("it is asked") { model.asked == 1 }
        RuntimeEnvironment.setQualifiers("+land")
        controller.configurationChange()
        assertEquals("Cancel", controller.get().textOf(R.id.ask))
        model.gate!!.countDown()
        settle()
        assertEquals("engineer", controller.get().marked())
        RuntimeEnvironment.setQualifiers("+port")
        controller.configurationChange()
        assertEquals("engineer", controller.get().marked())
        assertEquals("engineer", controller.get().marked(R.id.answer))
        assertEquals(1, model.asked)
        assertFalse(model.isClosed)
    }

    @Test
    fun `after the end of the process it is asked again`() {
        val controller = start()
        settle()
        controller.get().passage.setText("Anna came by train.")
        controller.get().ask("Who is Anna?")
        settle()
        val saved = Bundle()
        controller
            .pause()
            .stop()
            .saveInstanceState(saved)
            .destroy()
        settle()
        assertTrue(model.isClosed)
        val again = Robolectric.buildActivity(MainActivity::class.java).setup(saved).get()
        settle()
        assertEquals("Anna came by train.", again.passage.text.toString())
        assertEquals("Anna", again.marked())
        assertEquals(2, model.asked)
    }

    @Test
    fun `takes texts from other apps`() {
        val send =
            Intent(Intent.ACTION_SEND)
                .setType("text/plain")
                .putExtra(Intent.EXTRA_TEXT, "Shared by Anna.")
        assertEquals("Shared by Anna.", started(send).passage.text.toString())
        val select =
            Intent(Intent.ACTION_PROCESS_TEXT)
                .setType("text/plain")
                .putExtra(Intent.EXTRA_PROCESS_TEXT, "Selected by Anna." as CharSequence)
        assertEquals("Selected by Anna.", started(select).passage.text.toString())
        val empty = started(Intent(Intent.ACTION_SEND).setType("text/plain"))
        assertTrue("no text" in empty.textOf(R.id.notice))
    }

    @Test
    fun `a text that is too long is cut, and said so`() {
        val text = "x".repeat(MainActivity.MOST_CHARACTERS + 1)
        val screen = started(Intent(Intent.ACTION_SEND).putExtra(Intent.EXTRA_TEXT, text))
        assertEquals(MainActivity.MOST_CHARACTERS, screen.passage.text.length)
        assertTrue("100,000" in screen.textOf(R.id.notice))
    }

    @Test
    fun `a screen that is left keeps its texts, and none of those that were replaced`() {
        val controller = start()
        settle()
        val screen = controller.get()
        val fields = listOf(screen.passage, screen.findViewById(R.id.question))
        repeat(10) { edit ->
            val pasted = "${'a' + edit} ".repeat(PASTED / 2)
            // As the keyboard and the menu of a field paste.
            for (field in fields) field.text.replace(0, field.length(), pasted)
        }
        assertEquals("j ".repeat(PASTED / 2), screen.passage.text.toString())
        val saved = Bundle()
        controller.pause().stop().saveInstanceState(saved)
        val parcel = Parcel.obtain()
        saved.writeToParcel(parcel, 0)
        // One byte a letter in Android 15, and what the views keep beside their texts.
        val beside = parcel.dataSize() - 2 * PASTED
        assertTrue("$beside bytes", beside in 0..20_000)
        parcel.recycle()
    }

    @Test
    fun `pastes`() {
        val screen = started()
        screen.chips(R.id.samples)[5].performClick()
        assertTrue("no text to paste" in screen.textOf(R.id.notice))
        val clipboard = app.getSystemService(ClipboardManager::class.java)
        clipboard.setPrimaryClip(ClipData.newPlainText("", "Pasted by Anna."))
        screen.chips(R.id.samples)[5].performClick()
        assertEquals("Pasted by Anna.", screen.passage.text.toString())
        assertFalse(screen.isShown(R.id.notice))
    }

    @Test
    fun `odd texts are no danger`() {
        val screen = started()
        for (text in listOf("\ud83d", "a\u0000b", "\u202eabc", "e\u0301".repeat(5000), "😀")) {
            screen.passage.setText(text)
            screen.ask("why ".repeat(2000))
            settle()
            assertTrue(screen.isShown(R.id.card))
            assertFalse(screen.isShown(R.id.problem))
        }
    }

    @Test
    fun `the model is tested once, with progress, and refused where it fails`() {
        model.gate = CountDownLatch(1)
        val first = start()
        waitUntil("it is tested") { "1 of 2" in first.get().textOf(R.id.status) }
        model.gate!!.countDown()
        model.gate = null
        settle()
        assertFalse(first.get().isShown(R.id.status))
        first.pause().stop().destroy()
        settle()
        assertEquals(1, model.tested)
        val second = start()
        settle()
        assertEquals(1, model.tested)
        second.pause().stop().destroy()
        settle()
        app
            .getSharedPreferences("self-tests", 0)
            .edit()
            .clear()
            .commit()
        model.problem = "TensorFlow Lite 2.16.1 on arm64 reads the file wrongly: ship another."
        repeat(2) {
            val screen = started()
            assertEquals(model.problem, screen.textOf(R.id.problem))
            assertFalse(screen.findViewById<View>(R.id.ask).isEnabled)
            assertTrue(model.isClosed)
        }
        assertEquals(2, model.tested)
    }

    @Test
    fun `what goes wrong with the model is a sentence`() {
        val wrong =
            mapOf<() -> Nothing, String>(
                { throw ModelException("assets/model is missing: build it") } to "is missing",
                { throw OutOfMemoryError("big") } to "not enough free memory",
                { throw UnsatisfiedLinkError("no libx.so") } to "no library",
                { throw IllegalStateException("odd") } to "odd",
            )
        for ((open, expected) in wrong) {
            app.openModel = { open() }
            val controller = Robolectric.buildActivity(MainActivity::class.java).setup()
            val screen = controller.get()
            settle()
            assertTrue(screen.textOf(R.id.problem), expected in screen.textOf(R.id.problem))
            assertFalse(screen.findViewById<View>(R.id.ask).isEnabled)
            screen.chips(R.id.suggestions)[0].performClick()
            settle()
            assertFalse(screen.isShown(R.id.card))
            assertEquals(screen.getString(R.string.ask), screen.textOf(R.id.ask))
            controller.pause().stop().destroy()
            settle()
        }
    }

    @Test
    fun `what goes wrong with an answer is a sentence, and the next one works`() {
        var error: Throwable? = null
        app.openModel = {
            object : FakeModel() {
                override fun answer(
                    passage: String,
                    question: String,
                    padTo: Int?,
                    isCancelled: () -> Boolean,
                ): Answer {
                    error?.let { throw it }
                    return super.answer(passage, question, padTo, isCancelled)
                }
            }
        }
        val screen = Robolectric.buildActivity(MainActivity::class.java).setup().get()
        val wrong =
            mapOf(
                ModelException("a window of 600 pieces") to "a window of 600 pieces",
                OutOfMemoryError() to "not enough free memory to answer",
                IllegalArgumentException("no tensor") to "no tensor",
            )
        for ((thrown, expected) in wrong) {
            error = thrown
            screen.ask("Who was the engineer?")
            settle()
            assertTrue(screen.textOf(R.id.problem), expected in screen.textOf(R.id.problem))
        }
        error = null
        screen.ask("Who was the engineer?")
        settle()
        assertFalse(screen.isShown(R.id.problem))
        assertEquals("engineer", screen.marked())
    }

    @Test
    fun `a model that is no longer needed while it is tested is closed`() {
        model.gate = CountDownLatch(1)
        val controller = start()
        waitUntil("it is tested") { model.tested == 1 }
        controller.pause().stop().destroy()
        model.gate!!.countDown()
        settle()
        assertTrue(model.isClosed)
        assertTrue(app.models.state is ModelState.Opening)
    }

    @Test
    fun `two screens share a model`() {
        val first = start()
        val second = start()
        settle()
        first.pause().stop().destroy()
        settle()
        assertFalse(model.isClosed)
        second.get().ask("Who was the engineer?")
        settle()
        assertEquals("engineer", second.get().marked())
        assertEquals(1, model.tested)
    }

    @Test
    fun `the menu leads to the benchmark`() {
        val screen = started()
        shadowOf(screen).clickMenuItem(R.id.benchmark)
        val next = shadowOf(screen).nextStartedActivity
        assertEquals(BenchmarkActivity::class.java.name, next.component!!.className)
        assertNull(next.extras)
    }

    private companion object {
        /** Characters. */
        const val PASTED = 10_000
    }
}
