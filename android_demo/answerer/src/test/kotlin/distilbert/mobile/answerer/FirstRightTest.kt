// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.core.ErrorKind
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.ModelFile
import distilbert.mobile.core.SelfTest
import distilbert.mobile.core.TaskResult
import distilbert.mobile.core.spans.AnswerModel
import distilbert.mobile.core.spans.AnswerOptions
import distilbert.mobile.core.spans.Passage
import distilbert.mobile.testing.Builds
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import java.io.File
import java.util.concurrent.CancellationException

/** Which file is opened where the default one is not right, and what an app sees of a model. */
@RunWith(RobolectricTestRunner::class)
class FirstRightTest {
    @get:Rule
    val temporary = TemporaryFolder()
    private val passed by lazy { PassedTests(RuntimeEnvironment.getApplication()) }
    private val progress = ArrayList<Int>()

    @Before
    fun runtime() = assumeRuntime()

    @Test
    fun `a file that is misread or refused is passed over, and the result is kept`() {
        for (default in listOf(TinyModel.MISREAD, TinyModel.REFUSED, TinyModel.RIGHT)) {
            val folder = folder(default)
            open(folder).use { assertEquals(TinyModel.RIGHT, it.file.path) }
        }
        // Once for the file that is misread, once for the right one; then the result is known.
        assertEquals(2, progress.count { it == 1 })
        open(folder(TinyModel.RIGHT)).use { assertTrue(it in passed) }
        assertEquals(2, progress.count { it == 1 })
    }

    @Test
    fun `a file whose digest nobody compares is tested each time, and no pass is kept`() {
        val folder = folder(TinyModel.RIGHT)
        open(folder).use { assertTrue(it in passed) }
        // A passed test of the build's file says nothing about what lies in its place.
        Builds.tiny.resolve(TinyModel.MISREAD).copyTo(folder.resolve(TinyModel.RIGHT), true)
        folder.resolve(TinyModel.MISREAD).delete()
        val error =
            assertThrows(ModelException::class.java) { open(folder, verify = false).close() }
        assertTrue("$error", "${TinyModel.RIGHT} is computed wrong" in error.message.orEmpty())

        val changed = folder(TinyModel.RIGHT)
        TinyModel.edit(changed.resolve("model.json")) {
            Regex("\"sha256\": \"[0-9a-f]{4}").replaceFirst(it, "\"sha256\": \"0000")
        }
        repeat(2) {
            progress.clear()
            open(changed, verify = false).use { assertFalse(it in passed) }
            assertEquals(1, progress.count { it == 1 })
        }
    }

    @Test
    fun `where no file is right, the first one's problem is said`() {
        val folder = folder(TinyModel.REFUSED)
        for (name in listOf(TinyModel.RIGHT, TinyModel.MISREAD)) folder.resolve(name).delete()
        val error = assertThrows(ModelException::class.java) { open(folder) }
        assertEquals(ErrorKind.RUNTIME, error.kind)
        assertTrue("$error", "refuses ${TinyModel.REFUSED}" in error.message.orEmpty())
        folder.resolve("model.json").writeText("{")
        assertEquals(
            ErrorKind.DAMAGED,
            assertThrows(ModelException::class.java) { open(folder) }.kind,
        )
    }

    @Test
    fun `the test can be taken back`() {
        assertThrows(CancellationException::class.java) {
            QuestionAnswerer.firstRightFromFolder(
                folder(TinyModel.RIGHT),
                passed,
                threads = 1,
                isCancelled = { true },
            )
        }
    }

    @Test
    fun `an app sees an interface, and hears of results`() {
        val results = ArrayList<TaskResult>()
        TinyModel.open().use { answerer ->
            answerer.listener =
                object : ModelListener {
                    override fun onResult(result: TaskResult, waited: Double) {
                        results.add(result)
                    }
                }
            answerer.warmUp()
            assertTrue(results.isEmpty())
            val model: AnswerModel = answerer
            val passage = Passage("the tower of rome was built by anna in 1998. ".repeat(20))
            val answer = model.answer(passage, "who built it?", AnswerOptions(candidates = 3))
            assertEquals(3, answer.candidates.size)
            assertTrue(answer.confidence > 0 && answer.confidence <= 1)
            assertEquals(listOf<TaskResult>(answer), results)
            val few = model.answer(passage, "who built it?", AnswerOptions(maxWindows = 1))
            assertFalse(few.isComplete)
            assertEquals(answer.text, model.answer(passage.text, "who built it?").text)
        }
    }

    @Test
    fun `a listener hears of the self-test of each file`() {
        val heard = ArrayList<String>()
        val listener =
            object : ModelListener {
                override fun onSelfTest(file: ModelFile, runtime: String, result: SelfTest) {
                    heard.add("${file.path} $runtime ${result.isPassed}")
                }
            }
        val folder = folder(TinyModel.MISREAD)
        QuestionAnswerer
            .firstRightFromFolder(folder, passed, threads = 1, listener = listener)
            .use {
                val expected = listOf("${TinyModel.MISREAD} ${it.runtime} false")
                assertEquals(expected + "${TinyModel.RIGHT} ${it.runtime} true", heard)
            }
    }

    @Test
    fun `an app may bring its own runtime`() {
        val sources = ArrayList<EngineSource>()
        val engine =
            Engine { source ->
                sources.add(source)
                val model = Engine.INTERPRETER.open(source)
                object : EngineModel by model {
                    override val runtime = "Own 1"
                }
            }
        QuestionAnswerer
            .fromFolder(Builds.tiny, TinyModel.RIGHT, threads = 1, engine = engine)
            .use {
                assertEquals("Own 1", it.runtime)
                assertTrue(it.selfTest().isPassed)
            }
        val context = RuntimeEnvironment.getApplication()
        QuestionAnswerer
            .fromAssets(context, file = TinyModel.RIGHT, threads = 1, engine = engine)
            .close()
        assertEquals(
            listOf(
                null to Builds.tiny.resolve(TinyModel.RIGHT).absolutePath,
                context.assets to "model/${TinyModel.RIGHT}",
            ),
            sources.map { it.assets to it.path },
        )
    }

    private fun open(folder: File, verify: Boolean = true) =
        QuestionAnswerer.firstRightFromFolder(folder, passed, threads = 1, verify = verify) {
            done,
            _,
            ->
            progress.add(done)
        }

    /** A copy of the tiny build with another default. */
    private fun folder(default: String): File {
        val folder = TinyModel.copy(temporary.newFolder())
        TinyModel.edit(folder.resolve("model.json")) {
            it.replace(Regex("\"default\": \"student[^\"]*\""), "\"default\": \"$default\"")
        }
        return folder
    }
}
