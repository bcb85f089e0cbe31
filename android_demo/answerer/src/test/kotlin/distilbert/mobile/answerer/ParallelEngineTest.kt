// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.core.ErrorKind
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.spans.Answer
import distilbert.mobile.core.spans.AnswerOptions
import distilbert.mobile.core.spans.GoldenCase
import distilbert.mobile.core.spans.Passage
import distilbert.mobile.testing.Builds
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertSame
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import java.util.concurrent.CancellationException
import java.util.concurrent.CountDownLatch
import java.util.concurrent.ExecutionException
import java.util.concurrent.Executors
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger

/** A file that is opened several times answers as one does, and is tested, remembered and closed. */
@RunWith(RobolectricTestRunner::class)
class ParallelEngineTest {
    private val passage = Passage("the tower of rome was built by anna in 1998. ".repeat(40))

    @Before
    fun runtime() = assumeRuntime()

    /** Opens files with the interpreter, and watches what becomes of them. */
    private class Watched(private val change: (Int, EngineModel) -> EngineModel = { _, m -> m }) :
        Engine {
        val sources = ArrayList<EngineSource>()
        val runs = ArrayList<AtomicInteger>()
        val running = AtomicInteger()
        val most = AtomicInteger()
        val closed = AtomicInteger()

        override fun open(source: EngineSource): EngineModel {
            val number = sources.size
            sources.add(source)
            val model = change(number, Engine.INTERPRETER.open(source))
            val counted = AtomicInteger().also { runs.add(it) }
            return object : EngineModel by model {
                override fun run(
                    ids: IntArray,
                    mask: IntArray,
                    segmentIds: IntArray,
                ): List<FloatArray> {
                    counted.incrementAndGet()
                    most.accumulateAndGet(running.incrementAndGet(), ::maxOf)
                    try {
                        return model.run(ids, mask, segmentIds)
                    } finally {
                        running.decrementAndGet()
                    }
                }

                override fun close() {
                    assertEquals("a window runs", 0, running.get())
                    closed.incrementAndGet()
                    model.close()
                }
            }
        }
    }

    /** A model that does something before each window. */
    private class Slowed(private val model: EngineModel, private val before: () -> Unit) :
        EngineModel by model {
        override fun run(ids: IntArray, mask: IntArray, segmentIds: IntArray): List<FloatArray> {
            before()
            return model.run(ids, mask, segmentIds)
        }
    }

    private fun open(engine: Engine, file: String? = TinyModel.RIGHT, threads: Int = 1) =
        QuestionAnswerer.fromFolder(Builds.tiny, file, threads, engine = engine)

    @Test
    fun `answers are those of one interpreter, bit for bit`() {
        val options = AnswerOptions(candidates = 20)
        for ((folder, count) in listOf(Builds.tiny to 2, Builds.tinyStatic to 3)) {
            val cases = GoldenCase.parse(folder.resolve("golden.json").readText())
            val asked = cases.map { Passage(it.passage) to it.question }
            val answers = { engine: Engine ->
                QuestionAnswerer.fromFolder(folder, threads = 1, engine = engine).use {
                    asked.map { (text, question) -> content(it.answer(text, question, options)) }
                }
            }
            assertEquals(answers(Engine.INTERPRETER), answers(Engine.parallel(count)))
        }
        val answer = { engine: Engine, threads: Int ->
            open(engine, threads = threads).use { content(it.answer(passage, "who?", options)) }
        }
        assertEquals(answer(Engine.INTERPRETER, 1), answer(Engine.parallel(2), 4))
    }

    @Test
    fun `windows run at the same time, in all that are opened`() {
        val met = CountDownLatch(3)
        val engine =
            Watched { _, model ->
                Slowed(model) {
                    met.countDown()
                    assertTrue("they run one by one", met.await(20, TimeUnit.SECONDS))
                }
            }
        open(Engine.parallel(3, engine)).use { it.answer(passage, "who?", AnswerOptions()) }
        assertEquals(3, engine.sources.size)
        assertEquals(3, engine.most.get())
        assertEquals(3, engine.closed.get())
    }

    @Test
    fun `threads are shared out, and the file is mapped once`() {
        for ((threads, count, each) in listOf(Triple(4, 2, 2), Triple(4, 3, 1), Triple(1, 2, 1))) {
            val engine = Watched()
            open(Engine.parallel(count, engine), threads = threads).use {
                assertEquals(List(count) { each }, engine.sources.map { it.threads })
                assertEquals(1, engine.sources.distinctBy { it.path }.size)
                assertTrue(engine.sources.all { it.bytes.isDirect && it.bytes.position() == 0 })
            }
            assertEquals(count, engine.closed.get())
        }
    }

    @Test
    fun `what cannot be opened again is closed, and the reason is thrown`() {
        val refused = ModelException("no more", kind = ErrorKind.MEMORY)
        for (reason in listOf(refused, OutOfMemoryError("no more"))) {
            val engine = Watched { number, model -> if (number < 2) model else throw reason }
            val error =
                assertThrows(ModelException::class.java) { open(Engine.parallel(3, engine)) }
            assertEquals(ErrorKind.MEMORY, error.kind)
            assertTrue("$error", error === refused || error.cause === reason)
            assertEquals(2, engine.closed.get())
        }
        val error =
            assertThrows(ModelException::class.java) {
                open(Engine.parallel(2), TinyModel.REFUSED)
            }
        assertEquals(ErrorKind.RUNTIME, error.kind)
    }

    @Test
    fun `the self-test runs on all that are opened, and finds one that is wrong`() {
        val engine = Watched()
        open(Engine.parallel(3, engine)).use { assertTrue(it.selfTest().isPassed) }
        assertTrue("${engine.runs}", engine.runs.all { it.get() > 0 })
        for (wrong in 0 until 3) {
            val broken =
                Watched { number, model ->
                    object : EngineModel by model {
                        override fun run(
                            ids: IntArray,
                            mask: IntArray,
                            segmentIds: IntArray,
                        ): List<FloatArray> {
                            val outputs = model.run(ids, mask, segmentIds)
                            if (number == wrong) outputs.forEach { it.reverse() }
                            return outputs
                        }
                    }
                }
            open(Engine.parallel(3, broken)).use {
                val problem = it.selfTest().problem.orEmpty()
                assertTrue(problem, "is computed wrong by ${it.runtime}" in problem)
            }
        }
        val texts = Watched()
        TextClassifier
            .fromFolder(Builds.tinyClasses, threads = 1, engine = Engine.parallel(2, texts))
            .use { assertNull(it.selfTest().problem) }
        assertTrue("${texts.runs}", texts.runs.all { it.get() > 1 })
    }

    @Test
    fun `a passed test is remembered for the runtime, and advice is the runtime's`() {
        val passed = PassedTests(RuntimeEnvironment.getApplication())
        val first = { engine: Engine ->
            var cases = 0
            QuestionAnswerer
                .firstRightFromFolder(Builds.tiny, passed, threads = 1, engine = engine) { _, _ ->
                    cases++
                }.use { it.runtime to cases }
        }
        val (runtime, cases) = first(Engine.parallel(2))
        assertTrue("$cases cases", cases > 0)
        assertEquals(runtime to 0, first(Engine.parallel(2)))
        assertEquals(runtime to 0, first(Engine.INTERPRETER))
        open(Engine.parallel(2), TinyModel.MISREAD).use {
            val problem = it.selfTest().problem.orEmpty()
            assertTrue(problem, problem.endsWith("ship ${TinyModel.RIGHT} instead"))
        }
    }

    @Test
    fun `closing waits for the windows that run, and frees all`() {
        val begun = CountDownLatch(2)
        val engine =
            Watched { _, model ->
                Slowed(model) {
                    begun.countDown()
                    Thread.sleep(20)
                }
            }
        val answerer = open(Engine.parallel(2, engine))
        val pool = Executors.newSingleThreadExecutor()
        val answer = pool.submit { answerer.answer(passage, "who?", AnswerOptions()) }
        begun.await()
        answerer.close()
        val error = assertThrows(ExecutionException::class.java) { answer.get() }
        assertTrue("$error", error.cause is CancellationException)
        pool.shutdown()
        assertEquals(2, engine.closed.get())
        assertTrue("${engine.runs}", engine.runs.sumOf { it.get() } <= 4)
    }

    @Test
    fun `a file is opened 1 to 64 times`() {
        assertSame(Engine.INTERPRETER, Engine.parallel(1))
        for (count in listOf(-1, 0, 65)) {
            val error =
                assertThrows(IllegalArgumentException::class.java) { Engine.parallel(count) }
            assertEquals("$count windows at a time: allowed are 1 to 64", error.message)
        }
    }

    /** Everything that an answer says but its times. */
    private fun content(answer: Answer) =
        with(answer) {
            listOf(text, start, end, score, confidence, windowsRead, tokens, candidates)
        }
}
