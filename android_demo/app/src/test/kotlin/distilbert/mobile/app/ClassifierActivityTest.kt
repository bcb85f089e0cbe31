// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.Intent
import android.os.Bundle
import android.view.View
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.ProgressBar
import android.widget.TextView
import distilbert.mobile.core.classes.ClassDescription
import distilbert.mobile.testing.Builds
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotNull
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
class ClassifierActivityTest {
    private val model = FakeClassifier()

    private fun start(
        intent: Intent = Intent(Intent.ACTION_MAIN),
        opened: FakeClassifier = model,
    ): ActivityController<ClassifierActivity> {
        app.openClassifier = { opened }
        return Robolectric
            .buildActivity(ClassifierActivity::class.java, intent)
            .setup()
            .also { settle() }
    }

    private fun ClassifierActivity.classify(text: String, pair: String = "") {
        findViewById<EditText>(R.id.text).setText(text)
        findViewById<EditText>(R.id.pair).setText(pair)
        findViewById<Button>(R.id.ask).performClick()
    }

    private fun ClassifierActivity.rows(): List<Triple<String, String, Int>> =
        findViewById<LinearLayout>(R.id.scores).let { rows ->
            (0 until rows.childCount).map { rows.getChildAt(it) }.map { row ->
                Triple(
                    row.findViewById<TextView>(R.id.label).text.toString(),
                    row.findViewById<TextView>(R.id.percent).text.toString(),
                    row.findViewById<ProgressBar>(R.id.bar).progress,
                )
            }
        }

    @Test
    fun `shows the classes with their probabilities and the time`() {
        val screen = start().get()
        assertFalse(screen.isShown(R.id.card) || screen.isShown(R.id.pair))
        assertEquals("Classify", screen.textOf(R.id.ask))
        screen.classify("A fine day")
        settle()
        assertEquals("positive", screen.textOf(R.id.answer))
        assertEquals(
            listOf(
                Triple("positive", "75.0\u00a0%", 750),
                Triple("neutral", "20.0\u00a0%", 200),
                Triple("negative", "5.0\u00a0%", 50),
            ),
            screen.rows(),
        )
        assertEquals(
            "Tokenizing 0.3\u00a0ms · inference 15.0\u00a0ms · decoding 0.1\u00a0ms",
            screen.textOf(R.id.details).substringBefore('\n'),
        )
        assertEquals(listOf("A fine day" to null), model.asked)
        screen.findViewById<EditText>(R.id.text).append("!")
        assertFalse(screen.isShown(R.id.card))
    }

    @Test
    fun `reads two texts, and shows a number`() {
        val numbers = FakeClassifier(Builds.tinyNumber)
        val screen = start(opened = numbers).get()
        assertTrue(screen.isShown(R.id.pair))
        screen.classify("one", "three")
        settle()
        assertEquals("Predicted: 2.00", screen.textOf(R.id.answer))
        assertTrue(screen.rows().isEmpty())
        assertEquals(listOf<Pair<String, String?>>("one" to "three"), numbers.asked)
    }

    @Test
    fun `an empty text gets a sentence`() {
        val screen = start().get()
        screen.classify(" ")
        assertTrue("no text" in screen.textOf(R.id.problem))
        assertTrue(model.asked.isEmpty())
    }

    @Test
    fun `a model that fails its test is refused`() {
        model.problem = "computed wrong: ship another"
        val screen = start().get()
        assertEquals(model.problem, screen.textOf(R.id.problem))
        assertFalse(screen.findViewById<View>(R.id.ask).isEnabled)
        assertTrue(model.isClosed)
    }

    @Test
    fun `a text can be taken back, and turning the screen keeps it`() {
        val controller = start()
        model.gate = CountDownLatch(1)
        controller.get().classify("A fine day")
        waitUntil("it is asked") { model.asked.size == 1 }
        assertEquals("Cancel", controller.get().textOf(R.id.ask))
        RuntimeEnvironment.setQualifiers("+land")
        controller.configurationChange()
        assertEquals("Cancel", controller.get().textOf(R.id.ask))
        controller.get().findViewById<Button>(R.id.ask).performClick()
        settle()
        assertEquals("Classify", controller.get().textOf(R.id.ask))
        assertFalse(controller.get().isShown(R.id.card))
        model.gate = null
        controller.get().classify("A fine day")
        settle()
        RuntimeEnvironment.setQualifiers("+port")
        controller.configurationChange()
        assertEquals("positive", controller.get().textOf(R.id.answer))
        assertEquals(2, model.asked.size)
    }

    @Test
    fun `after the end of the process it is classified again`() {
        val controller = start()
        controller.get().classify("A fine day")
        settle()
        val saved = Bundle()
        controller
            .pause()
            .stop()
            .saveInstanceState(saved)
            .destroy()
        settle()
        assertTrue(model.isClosed)
        val again = Robolectric.buildActivity(ClassifierActivity::class.java).setup(saved).get()
        settle()
        assertEquals("positive", again.textOf(R.id.answer))
        assertEquals(2, model.asked.size)
    }

    @Test
    fun `takes a text from another app, and leads to the benchmark`() {
        val send = Intent(Intent.ACTION_SEND).putExtra(Intent.EXTRA_TEXT, "Shared by Anna.")
        val screen = start(send).get()
        assertEquals("Shared by Anna.", screen.textOf(R.id.text))
        shadowOf(screen).clickMenuItem(R.id.benchmark)
        assertNotNull(shadowOf(screen).nextStartedActivity)
    }

    @Test
    fun `the first screen is that of the task, and gets the text`() {
        val send = Intent(Intent.ACTION_SEND).putExtra(Intent.EXTRA_TEXT, "Shared by Anna.")
        for ((task, screen) in listOf(
            ClassDescription.TASK to ClassifierActivity::class.java,
            "extractive question answering" to MainActivity::class.java,
            null to MainActivity::class.java,
        )) {
            app.task = { task }
            val start = Robolectric.buildActivity(StartActivity::class.java, send).create().get()
            val next = shadowOf(start).nextStartedActivity
            assertEquals(screen.name, next.component!!.className)
            assertEquals("Shared by Anna.", next.sharedText())
            assertTrue(start.isFinishing)
        }
    }
}
