// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.coroutines

import distilbert.mobile.core.ModelFile
import distilbert.mobile.core.SelfTest
import distilbert.mobile.core.Times
import distilbert.mobile.core.spans.Answer
import distilbert.mobile.core.spans.AnswerModel
import distilbert.mobile.core.spans.AnswerOptions
import distilbert.mobile.core.spans.Passage
import distilbert.mobile.core.spans.SpanDescription
import distilbert.mobile.testing.Builds
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.util.concurrent.CancellationException
import java.util.concurrent.CountDownLatch

class ModelsTest {
    /** Answers with the question's last word, or works until it is stopped. */
    private class Fake(private val isEndless: Boolean = false) : AnswerModel {
        override val description =
            SpanDescription.parse(Builds.tiny.resolve("model.json").readText())
        override val file: ModelFile = description.files.values.first()
        override val runtime = "LiteRT 1.4.2"
        val begun = CountDownLatch(1)

        @Volatile
        var isClosed = false

        @Volatile
        var isStopped = false

        override fun answer(
            passage: String,
            question: String,
            padTo: Int?,
            isCancelled: () -> Boolean,
        ): Answer {
            begun.countDown()
            while (isEndless && !isCancelled() && !isClosed) Thread.sleep(1)
            isStopped = true
            if (isEndless) throw CancellationException()
            val text = question.substringAfterLast(' ')
            val times = Times(0.0, 0.0, 0.0)
            return Answer(text, 0, text.length, score = 1f, windows = 1, tokens = 1, times = times)
        }

        override fun selfTest(
            isCancelled: () -> Boolean,
            onProgress: (Int, Int) -> Unit,
        ): SelfTest {
            for (done in 1..3) onProgress(done, 3)
            return SelfTest(cases = 3, largestError = 0f, nearTies = 0, problem = null)
        }

        override fun close() {
            isClosed = true
        }
    }

    private val passage = Passage("the tower of rome")

    @Test
    fun `answers come one after the other`() =
        runBlocking {
            val answers = Fake().askAll(passage, listOf("what tower", "what rome"), AnswerOptions())
            assertEquals(listOf("tower", "rome"), answers.map { it.text }.toList())
        }

    @Test
    fun `cancelling the coroutine ends the search`() =
        runBlocking {
            val model = Fake(isEndless = true)
            val job = launch { model.ask(passage, "what?") }
            while (model.begun.count > 0) delay(1)
            job.cancelAndJoin()
            assertTrue(model.isStopped && job.isCancelled)
        }

    @Test
    fun `closing the model elsewhere is an error, not a silent end`() {
        val model = Fake(isEndless = true)
        val error =
            assertThrows(IllegalStateException::class.java) {
                runBlocking {
                    launch {
                        while (model.begun.count > 0) delay(1)
                        model.close()
                    }
                    model.ask(passage, "what?")
                }
            }
        assertEquals("the model was closed meanwhile", error.message)
    }

    @Test
    fun `a self-test tells its steps and its result`() =
        runBlocking {
            val steps = Fake().selfTestSteps().toList()
            assertEquals(listOf(1, 2, 3, 3), steps.map { it.done })
            assertTrue(steps.last().result!!.isPassed)
        }
}
