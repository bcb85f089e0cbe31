// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.core.ModelDescription
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.spans.GoldenCase
import distilbert.mobile.testing.Builds
import distilbert.mobile.testing.Comparison
import distilbert.mobile.testing.escaped
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import java.io.File
import java.util.concurrent.CancellationException
import java.util.concurrent.CountDownLatch
import java.util.concurrent.ExecutionException
import java.util.concurrent.Executors
import kotlin.math.abs
import java.lang.Runtime as JavaRuntime

/** The class that an app uses, on TensorFlow Lite's Android library in this machine's JVM. */
@RunWith(RobolectricTestRunner::class)
class QuestionAnswererTest {
    @Before
    fun runtime() = assumeRuntime()

    @Test
    fun `tiny model answers as in the build`() = compare(Builds.tiny, TinyModel.RIGHT)

    @Test
    fun `fixed lengths answer as in the build`() = compare(Builds.tinyStatic, null)

    /** Which files a build holds is its user's choice; `model.json` says what this runtime computes. */
    @Test
    fun `every file of a real build answers as in Python or is refused`() {
        Builds.missingReal?.let { println("skipped: $it") }
        assumeTrue(Builds.missingReal, Builds.missingReal == null)
        val description =
            ModelDescription.parse(Builds.real.resolve("model.json").readText())
        val runtime = Runtime.current()
        for (file in description.files.values) {
            if (runtime.computes(file)) {
                compare(Builds.real, file.path)
            } else {
                println("  ${file.path} is not for $runtime: ${refusal(file.path)}")
            }
        }
    }

    @Test
    fun `odd texts are answered or not, but do no harm`() {
        TinyModel.open().use { answerer ->
            for (passage in listOf("", " \n", "\u200b", "\ud83d", "\ude00\ud83d")) {
                assertEquals("", answerer.answer(passage, "Who?").text)
            }
            val passage = "\ud83dThe tower\ude00 of Ro\u0301me."
            for (question in listOf("", "why ".repeat(2000), "\udc00who\ud800?")) {
                val answer = answerer.answer(passage, question)
                assertEquals(passage.substring(answer.start, answer.end), answer.text)
            }
        }
    }

    @Test
    fun `a passage of 5000 words needs no memory for its windows`() {
        val passage = "The tower of Rome was built by Anna in 1998. ".repeat(500)
        TinyModel.open().use { answerer ->
            var window = 0
            var early = 0L
            var late = 0L
            val answer =
                answerer.answer(passage, "Who built the tower?") {
                    window++
                    if (window == EARLY) early = heap()
                    if (window == LATE) late = heap()
                    false
                }
            assertTrue("${answer.windows} windows", answer.windows > LATE)
            // Ids and logits of the windows between would take 900 KB.
            assertTrue("${late - early} bytes more", late - early < 300_000)
        }
    }

    @Test
    fun `any number of threads may ask`() {
        TinyModel.open().use { answerer ->
            val cases = GoldenCase.parse(Builds.tiny.resolve("golden.json").readText())
            val pool = Executors.newFixedThreadPool(4)
            val found =
                cases.map { pool.submit<String> { answerer.answer(it.passage, it.question).text } }
            assertEquals(
                cases.map { it.answers.getValue(TinyModel.RIGHT).text },
                found.map { it.get() },
            )
            pool.shutdown()
        }
    }

    @Test
    fun `a question can be taken back`() {
        TinyModel.open().use { answerer ->
            var asked = 0
            assertThrows(CancellationException::class.java) {
                answerer.answer("the tower of rome. ".repeat(100), "Who?") { ++asked == 3 }
            }
            assertEquals(3, asked)
            answerer.answer("the tower", "Which?")
        }
    }

    @Test
    fun `closing ends the question that is being answered`() {
        val answerer = TinyModel.open()
        val begun = CountDownLatch(1)
        val pool = Executors.newSingleThreadExecutor()
        val answer =
            pool.submit {
                answerer.answer("the tower of rome. ".repeat(1000), "Who?") {
                    begun.countDown()
                    Thread.sleep(1)
                    false
                }
            }
        begun.await()
        answerer.close()
        val error = assertThrows(ExecutionException::class.java) { answer.get() }
        assertTrue("$error", error.cause is CancellationException)
        pool.shutdown()
        answerer.close()
        assertThrows(IllegalStateException::class.java) { answerer.answer("a", "b") }
        assertThrows(IllegalStateException::class.java) { answerer.selfTest() }
    }

    /** How opening a file, or its self-test, says that this runtime must not answer with it. */
    private fun refusal(file: String): String =
        try {
            QuestionAnswerer.fromFolder(Builds.real, file, threads = 1).use { answerer ->
                answerer.selfTest().problem ?: throw AssertionError("$file passes the self-test")
            }
        } catch (error: ModelException) {
            error.message.orEmpty()
        }

    /** Every golden case of a build; logits may be off by what kernels round differently. */
    private fun compare(folder: File, file: String?) {
        QuestionAnswerer.fromFolder(folder, file, threads = 1).use { answerer ->
            val comparison = Comparison("questions, ${answerer.runtime}, ${answerer.file.path}")
            val cases = GoldenCase.parse(folder.resolve("golden.json").readText())
            var around = 0.0
            var inference = 0.0
            for (case in cases) {
                val expected = case.answers.getValue(answerer.file.path)
                val answer = answerer.answer(case.passage, case.question)
                around += answer.times.tokenizing + answer.times.decoding
                inference += answer.times.inference
                val found = listOf(answer.text, answer.start, answer.end, answer.windowsRead)
                val isEqual =
                    found == listOf(expected.text, expected.start, expected.end, case.windowCount)
                comparison.check(isEqual && abs(answer.score - expected.score) < SCORE_TOLERANCE) {
                    "${case.question}: $found ${answer.score}, expected " +
                        "${expected.text.escaped()} ${expected.start} ${expected.score}"
                }
            }
            println("  around inference: %.2f %% of its time".format(100 * around / inference))
            comparison.finish()
        }
    }

    private fun heap(): Long {
        System.gc()
        return JavaRuntime.getRuntime().run { totalMemory() - freeMemory() }
    }

    private companion object {
        const val EARLY = 20
        const val LATE = 500

        /** Twice the largest error of a logit that was found between right runtimes. */
        const val SCORE_TOLERANCE = 0.3
    }
}
