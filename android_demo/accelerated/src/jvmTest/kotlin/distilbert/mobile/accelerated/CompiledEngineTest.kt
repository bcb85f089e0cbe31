// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.accelerated

import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.LiteRtException
import com.google.ai.edge.litert.StubRuntime
import distilbert.mobile.answerer.QuestionAnswerer
import distilbert.mobile.core.ErrorKind
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.spans.GoldenCase
import distilbert.mobile.core.spans.SpanDescription
import distilbert.mobile.testing.Builds
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File

/** What the engine asks of LiteRT's stubs, which compute what the build computed. */
class CompiledEngineTest {
    private val folder = Builds.tinyStatic
    private val gpu = CompiledEngine(setOf(Accelerator.GPU))
    private val file = SpanDescription.parse(folder.resolve("model.json").readText()).default

    /** Those of one window, of which the logits are known. */
    private val cases =
        GoldenCase.parse(folder.resolve("golden.json").readText()).filter { it.windowCount == 1 }
    private val signatures = HashSet<String>()

    @After
    fun reset() {
        StubRuntime.failure = null
        StubRuntime.missingBuffer = null
        StubRuntime.compute = { _, _ -> emptyMap() }
        StubRuntime.compiled.clear()
        assertEquals("models and buffers that are still open", 0, StubRuntime.live)
    }

    @Test
    fun `golden questions pass through signatures and buffers by name`() {
        StubRuntime.compute = ::compute
        QuestionAnswerer.fromFolder(folder, engine = gpu).use { answerer ->
            assertEquals("LiteRT CompiledModel (GPU)", answerer.runtime)
            for (case in cases) {
                val expected = case.answers.getValue(file)
                val answer = answerer.answer(case.passage, case.question)
                assertEquals(
                    listOf(expected.text, expected.start, expected.end),
                    listOf(answer.text, answer.start, answer.end),
                )
            }
        }
        assertTrue("${cases.size} cases", cases.size >= 3)
        assertTrue("$signatures", signatures.isNotEmpty())
        assertEquals("${folder.resolve(file).absolutePath} [GPU] null", StubRuntime.compiled.last())
    }

    @Test
    fun `the CPU gets its threads, and options can be changed`() {
        var configured: CompiledModel.Options? = null
        val both =
            CompiledEngine(setOf(Accelerator.NPU, Accelerator.CPU), configure = { configured = it })
        QuestionAnswerer.fromFolder(folder, threads = 3, engine = both).use {
            assertEquals("LiteRT CompiledModel (NPU and CPU)", it.runtime)
        }
        assertTrue(StubRuntime.compiled.single(), "[NPU, CPU] 3" in StubRuntime.compiled.single())
        assertEquals(3, configured?.cpuOptions?.numThreads)
        assertThrows(IllegalArgumentException::class.java) { CompiledEngine(emptySet()) }
    }

    @Test
    fun `a file of every length is refused with what to do`() {
        val error = refusal(Builds.tiny)
        assertTrue("$error", "build with --static-lengths" in error)
        assertTrue(StubRuntime.compiled.isEmpty())
    }

    @Test
    fun `what LiteRT refuses, and a library that is missing, is one sentence`() {
        for ((failure, words) in listOf(
            LiteRtException("no delegate") to "refuses $file (no delegate): run the model on",
            UnsatisfiedLinkError("no LiteRt in java.library.path") to "the app has no library of",
        )) {
            StubRuntime.failure = failure
            val error = refusal(folder)
            assertTrue(error, words in error)
            StubRuntime.failure = null
        }
    }

    @Test
    fun `what fails while it runs is one sentence, and the model can be closed`() {
        StubRuntime.compute = { _, _ -> throw LiteRtException("the GPU was lost") }
        QuestionAnswerer.fromFolder(folder, engine = gpu).use { answerer ->
            val error =
                assertThrows(ModelException::class.java) { answerer.answer("the tower", "Which?") }
            assertEquals(ErrorKind.RUNTIME, error.kind)
            assertTrue("$error", "the GPU was lost" in error.message.orEmpty())
        }
    }

    @Test
    fun `where a buffer cannot be made, none stays open, and the next question is answered`() {
        StubRuntime.compute = ::compute
        val case = cases.first()
        for (missing in listOf("ids", "segment_ids", "start_logits", "end_logits")) {
            QuestionAnswerer.fromFolder(folder, engine = gpu).use { answerer ->
                StubRuntime.missingBuffer = missing
                repeat(2) {
                    val error =
                        assertThrows(ModelException::class.java) {
                            answerer.answer(case.passage, case.question)
                        }
                    assertTrue("$error", "no buffer of $missing" in error.message.orEmpty())
                    assertEquals("the model alone is open", 1, StubRuntime.live)
                }
                StubRuntime.missingBuffer = null
                val answer = answerer.answer(case.passage, case.question)
                assertEquals(case.answers.getValue(file).text, answer.text)
            }
        }
    }

    private fun refusal(folder: File): String {
        val error =
            assertThrows(ModelException::class.java) {
                QuestionAnswerer.fromFolder(folder, engine = gpu).close()
            }
        assertEquals(ErrorKind.RUNTIME, error.kind)
        assertFalse(error.message.orEmpty(), '\n' in error.message.orEmpty())
        return error.message.orEmpty()
    }

    /** The logits of the build for inputs that a golden case has, with values for the padding. */
    private fun compute(signature: String, inputs: Map<String, IntArray>): Map<String, FloatArray> {
        val (ids, mask) = listOf("ids", "mask").map { inputs.getValue(it) }
        assertEquals("length_${ids.size}", signature)
        assertEquals(ids.size, inputs.getValue("segment_ids").size)
        signatures += signature
        val case = cases.first { it.ids.contentEquals(ids.copyOf(mask.sum())) }
        val logits = case.answers.getValue(file).logits
        return mapOf(
            "start_logits" to logits.start.copyOf(ids.size),
            "end_logits" to logits.end.copyOf(ids.size),
        )
    }
}
