// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.core.ModelException
import distilbert.mobile.testing.Builds
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import java.util.concurrent.CancellationException

@RunWith(RobolectricTestRunner::class)
class SelfTestTest {
    @get:Rule
    val temporary = TemporaryFolder()

    @Before
    fun runtime() = assumeRuntime()

    @Test
    fun `passes where the runtime computes right`() {
        for (folder in listOf(Builds.tiny, Builds.tinyStatic)) {
            QuestionAnswerer.fromFolder(folder, threads = 1).use { answerer ->
                val progress = ArrayList<Int>()
                val result = answerer.selfTest { done, of -> progress.add(of - done) }
                println("self-test: ${result.cases} cases, error %.4f".format(result.largestError))
                assertNull(result.problem)
                assertTrue(result.isPassed && result.cases >= 6)
                assertEquals((0 until result.cases).reversed().toList(), progress)
                assertTrue("${result.largestError}", result.largestError < 0.03f)
            }
        }
    }

    @Test
    fun `refuses a file that this runtime opens and reads wrongly`() {
        TinyModel.open(TinyModel.MISREAD).use { answerer ->
            val result = answerer.selfTest()
            println(result.problem)
            assertFalse(result.isPassed)
            assertTrue("${result.largestError}", result.largestError > 0.3f)
            val problem = result.problem!!
            for (part in listOf(TinyModel.MISREAD, answerer.runtime, "ship ${TinyModel.RIGHT}")) {
                assertTrue(problem, part in problem)
            }
        }
    }

    @Test
    fun `can be taken back`() {
        TinyModel.open().use { answerer ->
            assertThrows(CancellationException::class.java) {
                answerer.selfTest(isCancelled = { true })
            }
        }
    }

    @Test
    fun `another model under the same name is found out`() {
        val folder = TinyModel.copy(temporary.newFolder())
        TinyModel.edit(folder.resolve("model.json")) {
            Regex("\"sha256\": \"[0-9a-f]{4}").replaceFirst(it, "\"sha256\": \"0000")
        }
        val error =
            assertThrows(ModelException::class.java) { QuestionAnswerer.fromFolder(folder) }
        val message = error.message.orEmpty()
        assertTrue(message, "${TinyModel.RIGHT} is damaged or was changed" in message)
        QuestionAnswerer
            .fromFolder(
                folder,
                verify = false,
            ).use { assertTrue(it.selfTest().isPassed) }
    }

    @Test
    fun `golden cases must be there and belong to the files`() {
        val missing = broken { it.resolve("golden.json").delete() }
        assertTrue(missing, missing.endsWith("is missing: $COPY"))

        fun edited(from: String, to: String) =
            broken { folder ->
                TinyModel.edit(folder.resolve("golden.json")) { it.replace(from, to) }
            }
        assertEquals(
            "golden.json has no answers of ${TinyModel.RIGHT}: $COPY",
            edited(TinyModel.RIGHT, "other.tflite"),
        )
        assertEquals(
            "golden.json was made with another tokenizer: $COPY",
            edited("\"ids\":[2,", "\"ids\":[3,"),
        )
        assertEquals(
            "golden.json has schema 3, this version reads 2: update this app",
            edited("\"schema_version\":2", "\"schema_version\":3"),
        )
    }

    private fun broken(change: (java.io.File) -> Unit): String {
        val folder = TinyModel.copy(temporary.newFolder())
        change(folder)
        QuestionAnswerer.fromFolder(folder).use { answerer ->
            return assertThrows(ModelException::class.java) { answerer.selfTest() }.message!!
        }
    }

    private companion object {
        const val COPY = "copy the whole folder that the build wrote"
    }
}
