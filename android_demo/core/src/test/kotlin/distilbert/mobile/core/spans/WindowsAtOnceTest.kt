// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.ErrorKind
import distilbert.mobile.core.GoldenFiles
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.ModelFiles
import distilbert.mobile.core.Predictor
import distilbert.mobile.core.WordPieceTokenizer
import distilbert.mobile.testing.Builds
import distilbert.mobile.testing.Comparison
import distilbert.mobile.testing.escaped
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertSame
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.util.Collections
import java.util.Random
import java.util.concurrent.CancellationException
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger

/** Several windows at a time: what comes out is the same, and nothing runs on afterwards. */
class WindowsAtOnceTest {
    private val description = SpanDescription.parse(ModelFiles.DESCRIPTION, verify = false)
    private val tokenizer =
        WordPieceTokenizer.read(description.tokenizer, ModelFiles.VOCABULARY.toByteArray())

    private val words = Random(1).let { random -> List(300) { WORDS[random.nextInt(WORDS.size)] } }
    private val passage = Passage(words.joinToString(" "))
    private val windows = answerer(Busy(1)).windows(passage.text, QUESTION)

    /** Which window has these ids. */
    private val places = windows.indices.associateBy { windows[it].ids.toList() }

    /** Logits drawn from the ids; [before] is called with the window's place when it runs. */
    private inner class Busy(override val atOnce: Int, private val before: (Int) -> Unit = {}) :
        Predictor {
        val begun = AtomicInteger()
        val running = AtomicInteger()
        val most = AtomicInteger()
        val threads: MutableSet<Thread> = Collections.synchronizedSet(HashSet())

        override fun run(ids: IntArray, mask: IntArray, segmentIds: IntArray): List<FloatArray> {
            threads.add(Thread.currentThread())
            begun.incrementAndGet()
            most.accumulateAndGet(running.incrementAndGet(), ::maxOf)
            try {
                before(places[ids.toList()] ?: -1)
                return drawn(ids)
            } finally {
                running.decrementAndGet()
            }
        }
    }

    @Test
    fun `the windows of these tests differ`() {
        assertEquals(windows.size, places.size)
        assertTrue("${windows.size} windows", windows.size > 30)
    }

    @Test
    fun `answers to golden questions are those of one window after the other`() {
        val description = SpanDescription.parse(Builds.tiny.resolve("model.json").readText())
        val vocabulary = Builds.tiny.resolve("vocab.txt").readBytes()
        val tokenizer = WordPieceTokenizer.read(description.tokenizer, vocabulary)
        val golden =
            GoldenCase
                .parse(Builds.tiny.resolve("golden.json").readText())
                .map { it.question to it.passage }
        val searched =
            GoldenFiles.search["cases"].items().map {
                it["question"].text() to it["context"].text()
            }
        val comparison = Comparison("answers, several windows at a time")
        var long = 0
        for ((question, text) in golden + searched) {
            val options = AnswerOptions(candidates = 50, maxWindows = 1 + text.length % 40)
            val answer = { count: Int ->
                val answerer = Answerer(description, tokenizer, Busy(count))
                answerer.answer(Passage(text), question, options)
            }
            val expected = answer(1)
            if (expected.windowsRead > 2) long++
            for (count in listOf(2, 3, 8)) {
                comparison.check(content(answer(count)) == content(expected)) {
                    "${question.escaped()}: $count at a time"
                }
            }
        }
        comparison.finish()
        assertTrue("only $long long passages", long > 20)
    }

    @Test
    fun `so many windows run at the same time, and no more`() {
        for (count in listOf(2, 3, 5)) {
            // The first ones wait for one another: one after the other, they would wait forever.
            val met = CountDownLatch(count)
            val model =
                Busy(count) {
                    met.countDown()
                    met.awaitOrFail()
                }
            assertEquals(expected, content(answerer(model).answer(passage, QUESTION, OPTIONS)))
            assertEquals(count, model.most.get())
            assertEquals(count, model.threads.size)
        }
    }

    @Test
    fun `the order in which windows end changes nothing`() {
        val random = Random(2)
        repeat(5) {
            val delays = List(windows.size) { random.nextInt(3).toLong() }
            val model = Busy(4) { Thread.sleep(delays[it]) }
            assertEquals(expected, content(answerer(model).answer(passage, QUESTION, OPTIONS)))
        }
        val added = ArrayList<Int?>()
        WindowsAtOnce(4) { window ->
            Thread.sleep(random.nextInt(3).toLong())
            Logits(FloatArray(window.ids.size), FloatArray(window.ids.size))
        }.forEach(windows.asSequence()) { window, _ -> added.add(places[window.ids.toList()]) }
        assertEquals(windows.indices.toList(), added)
    }

    @Test
    fun `a slow window holds up the others only when twice as many as run wait for it`() {
        val count = 3
        val others = CountDownLatch(2 * count)
        lateinit var model: Busy
        model =
            Busy(count) { place ->
                others.countDown()
                if (place == 0) {
                    others.awaitOrFail()
                    Thread.sleep(SETTLED)
                    assertEquals(2 * count, model.begun.get())
                }
            }
        assertEquals(expected, content(answerer(model).answer(passage, QUESTION, OPTIONS)))
    }

    @Test
    fun `threads have a name, let the process end, and end with the answer`() {
        val model = Busy(3)
        answerer(model).answer(passage, QUESTION, OPTIONS)
        for (thread in model.threads) {
            assertTrue(thread.name, Regex("answer-window-[123]").matches(thread.name))
            assertTrue(thread.isDaemon)
            // The pool has ended; its threads are at the end of their code.
            thread.join(PATIENCE)
            assertFalse(thread.isAlive)
        }
    }

    @Test
    fun `one window, and a model that runs one at a time, need no thread`() {
        val several = Busy(4)
        answerer(several).answer(passage, QUESTION, AnswerOptions(maxWindows = 1))
        answerer(several).answer("by anna", QUESTION)
        val one = Busy(1)
        answerer(one).answer(passage, QUESTION, OPTIONS)
        assertEquals(setOf(Thread.currentThread()), several.threads + one.threads)
        assertEquals(1, Predictor { ids, _, _ -> drawn(ids) }.atOnce)
    }

    @Test
    fun `a question is taken back before a window begins, on the calling thread`() {
        val model = Busy(3) { Thread.sleep(1) }
        val caller = Thread.currentThread()
        var asked = 0
        passage.pieces(tokenizer) { false }
        assertThrows(CancellationException::class.java) {
            answerer(model).answer(passage, QUESTION, OPTIONS) {
                assertSame(caller, Thread.currentThread())
                // The first time is the tokenizer's.
                ++asked == 1 + 7
            }
        }
        assertEquals(6, model.begun.get())
        assertEquals(0, model.running.get())
        asked = 0
        answerer(model).answer(passage, QUESTION, OPTIONS) { ++asked < 0 }
        assertEquals(1 + windows.size, asked)
    }

    @Test
    fun `no window begins late, and those that have begun count`() {
        val options = AnswerOptions(maxMilliseconds = 30)
        val model = Busy(2) { Thread.sleep(40) }
        val answer = answerer(model).answer(passage, QUESTION, options)
        assertFalse(answer.isComplete)
        assertEquals(model.begun.get(), answer.windowsRead)
        assertTrue("${answer.windowsRead} windows", answer.windowsRead in 1..2)
        assertEquals(windows.take(answer.windowsRead).sumOf { it.ids.size }, answer.tokens)
    }

    @Test
    fun `the failure of the first window that fails is thrown as it is`() {
        val failures =
            listOf(ModelException("one", kind = ErrorKind.MEMORY), OutOfMemoryError("other"))
        for (failure in failures) {
            val later = CountDownLatch(1)
            val model =
                Busy(4) { place ->
                    if (place == 6) {
                        later.countDown()
                        error("this window is a later one")
                    }
                    if (place == 5) {
                        later.awaitOrFail()
                        throw failure
                    }
                }
            val thrown =
                assertThrows(failure.javaClass) {
                    answerer(model).answer(passage, QUESTION, OPTIONS)
                }
            assertSame(failure, thrown)
            assertEquals(0, model.running.get())
            assertTrue("${model.begun}", model.begun.get() <= 5 + 2 * 4)
        }
    }

    @Test
    fun `nothing begins after a failure, and what runs is waited for`() {
        val failed = CountDownLatch(1)
        val model =
            Busy(2) { place ->
                if (place == 1) {
                    failed.countDown()
                    throw ModelException("no")
                }
                failed.awaitOrFail()
                Thread.sleep(SETTLED)
            }
        assertThrows(ModelException::class.java) {
            answerer(model).answer(passage, QUESTION, OPTIONS)
        }
        assertEquals(2, model.begun.get())
        assertEquals(0, model.running.get())
    }

    @Test
    fun `an interrupted thread waits for what runs, and keeps its flag`() {
        for (stops in listOf(true, false)) {
            val caller = Thread.currentThread()
            val model =
                Busy(2) {
                    caller.interrupt()
                    Thread.sleep(5)
                }
            val ask = {
                answerer(model).answer(passage, QUESTION, OPTIONS) {
                    stops && caller.isInterrupted
                }
            }
            try {
                if (stops) {
                    assertThrows(CancellationException::class.java) { ask() }
                    assertTrue("${model.begun}", model.begun.get() <= 2)
                } else {
                    assertEquals(expected, content(ask()))
                }
                assertEquals(0, model.running.get())
            } finally {
                assertTrue(Thread.interrupted())
            }
        }
    }

    @Test
    fun `the time of the model is the time that passes`() {
        val model = Busy(4) { Thread.sleep(10) }
        val begun = System.nanoTime()
        val times = answerer(model).answer(passage, QUESTION, OPTIONS).times
        val all = (System.nanoTime() - begun) / 1e6
        assertTrue("${times.inference} ms", times.inference >= 10.0 * windows.size / 4)
        assertTrue(times.tokenizing + times.inference + times.decoding <= all)
    }

    private val expected get() = content(answerer(Busy(1)).answer(passage, QUESTION, OPTIONS))

    private fun answerer(model: Predictor) = Answerer(description, tokenizer, model)

    /** Everything that an answer says but its times. */
    private fun content(answer: Answer) =
        with(answer) {
            listOf(text, start, end, score, confidence, windows, windowsRead, tokens, isComplete) +
                candidates.map { listOf(it.text, it.start, it.end, it.score, it.confidence) }
        }

    private fun CountDownLatch.awaitOrFail() =
        check(await(PATIENCE, TimeUnit.MILLISECONDS)) { "$count others have not come" }

    private companion object {
        const val QUESTION = "who was?"
        val OPTIONS = AnswerOptions(candidates = 50)
        val WORDS = "a the tower of rome was built by anna in where".split(" ")

        /** Milliseconds after which something does not come any more, on a busy machine too. */
        const val PATIENCE = 20_000L

        /** Milliseconds in which what is allowed to begin has begun. */
        const val SETTLED = 50L

        fun drawn(ids: IntArray): List<FloatArray> {
            val random = Random(ids.contentHashCode().toLong())
            return List(2) { FloatArray(ids.size) { 10 * random.nextFloat() } }
        }
    }
}
