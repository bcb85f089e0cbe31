// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.ClipboardManager
import android.content.Intent
import android.view.KeyEvent
import android.view.View
import android.widget.Button
import android.widget.CheckBox
import android.widget.EditText
import android.widget.LinearLayout
import distilbert.mobile.core.Times
import distilbert.mobile.core.spans.Answer
import distilbert.mobile.core.spans.Candidate
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController

/** What the card says of an answer, and what can be done with it. */
@RunWith(RobolectricTestRunner::class)
class AnswerCardTest {
    private val model = FakeModel()

    private fun start(): ActivityController<MainActivity> {
        app.openModel = { model }
        return Robolectric.buildActivity(MainActivity::class.java).setup().also { settle() }
    }

    private fun MainActivity.ask(question: String) {
        findViewById<EditText>(R.id.question).setText(question)
        findViewById<Button>(R.id.ask).performClick()
        settle()
    }

    @Test
    fun `an answer that does not outweigh the others is said to be unsure`() {
        val screen = start().get()
        screen.ask("Who was the engineer?")
        assertFalse(screen.isShown(R.id.caution))
        model.confidence = 0.21
        screen.ask("Who was the engineer?")
        assertTrue("only 21\u00a0%" in screen.textOf(R.id.caution))
        assertEquals("engineer", screen.marked(R.id.answer))
        model.confidence = 0.9
        screen.ask("Who was the engineer?")
        assertFalse(screen.isShown(R.id.caution))
    }

    @Test
    fun `candidates that overlap are one place`() {
        val places = listOf(4 to 9, 6 to 9, 0 to 4, 9 to 12)
        val found =
            Answer(
                text = "words",
                start = 4,
                end = 9,
                score = 1f,
                windows = 1,
                tokens = 9,
                times = Times(0.0, 0.0, 0.0),
                candidates = places.map { Candidate("", it.first, it.second, 1f, 0.25) },
            )
        val reply = Reply(found, null)
        assertEquals(0.5, reply.weight, 1e-9)
        assertTrue(reply.isSure)
    }

    @Test
    fun `details open by a tap, and stay open when the screen is turned`() {
        val controller = start()
        controller.get().ask("Who was the engineer?")
        assertFalse(controller.get().isShown(R.id.details))
        controller.get().findViewById<CheckBox>(R.id.disclosure).performClick()
        assertTrue(controller.get().isShown(R.id.details))
        RuntimeEnvironment.setQualifiers("+land")
        controller.configurationChange()
        assertEquals(View.VISIBLE, controller.get().findViewById<View>(R.id.details).visibility)
        controller.get().findViewById<CheckBox>(R.id.disclosure).performClick()
        assertFalse(controller.get().isShown(R.id.details))
    }

    @Test
    fun `the answer is copied and shared`() {
        val screen = start().get()
        screen.ask("Who was the engineer?")
        screen.findViewById<View>(R.id.copy).performClick()
        val clip = app.getSystemService(ClipboardManager::class.java).primaryClip!!
        assertEquals("engineer", clip.getItemAt(0).text)
        screen.findViewById<View>(R.id.share).performClick()
        val chooser = shadowOf(screen).nextStartedActivity

        @Suppress("DEPRECATION") // The typed getter is newer than the oldest phone.
        val send = chooser.getParcelableExtra<Intent>(Intent.EXTRA_INTENT)!!
        assertEquals("engineer", send.getStringExtra(Intent.EXTRA_TEXT))
    }

    @Test
    fun `Ctrl+Enter asks, Enter alone does not`() {
        val screen = start().get()
        screen.findViewById<EditText>(R.id.question).setText("Who was the engineer?")
        screen.press(0)
        settle()
        assertEquals(0, model.asked)
        screen.press(KeyEvent.META_CTRL_ON)
        settle()
        assertEquals(1, model.asked)
        assertEquals("engineer", screen.marked(R.id.answer))
    }

    private fun MainActivity.press(meta: Int) {
        findViewById<View>(R.id.passage).requestFocus()
        for (action in listOf(KeyEvent.ACTION_DOWN, KeyEvent.ACTION_UP)) {
            dispatchKeyEvent(KeyEvent(0, 0, action, KeyEvent.KEYCODE_ENTER, 0, meta))
        }
    }

    @Test
    fun `the chosen sample has a check, and only it`() {
        val row = start().get().findViewById<LinearLayout>(R.id.samples)
        val checked =
            (0 until row.childCount).map {
                (row.getChildAt(it) as Button).compoundDrawablesRelative[0] != null
            }
        assertEquals(listOf(true, false, false, false, false, false), checked)
    }
}
