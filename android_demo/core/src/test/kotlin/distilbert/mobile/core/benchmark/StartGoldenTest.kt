// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

import distilbert.mobile.core.GoldenFiles
import distilbert.mobile.core.Json
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class StartGoldenTest {
    private val cases = GoldenFiles.starts["cases"].items()

    @Test
    fun `arguments of am start are read as Python means them`() {
        for (case in cases) {
            val arguments = case["arguments"].items().map { it.text() }
            val extras = extras(arguments)
            val refused = case.optional("refused")?.text()
            if (refused == null) {
                val plan = BenchmarkPlan.parse(extras, "default")
                assertAsks(case["asks"], plan)
            } else {
                val error =
                    assertThrows("$arguments", BenchmarkException::class.java) {
                        BenchmarkPlan.parse(extras, "default")
                    }
                assertTrue(error.message!!, error.message!!.startsWith("$refused: "))
            }
        }
        assertTrue("only ${cases.size} starts", cases.size >= 30)
    }

    private fun assertAsks(expected: Json, plan: BenchmarkPlan) {
        assertEquals(expected.optional("run_id")?.text() ?: "default", plan.runId)
        val lengths = plan.lengths.singleOrNull()?.label ?: "both"
        assertEquals(expected["lengths"].text(), lengths)
        assertEquals(expected["runs"].integer(), plan.runs)
        assertEquals(expected["seconds"].integer(), plan.seconds)
        assertEquals(expected["threads"].integer(), plan.threads)
        assertEquals(expected["seed"].integer(), plan.seed)
        assertEquals(expected.optional("file")?.text(), plan.file)
        assertEquals(expected.optional("pad_to")?.integer(), plan.padTo)
    }

    /** As `am` makes them. */
    private fun extras(arguments: List<String>): Map<String, Any> =
        arguments
            .dropWhile { it !in TYPES }
            .chunked(3)
            .associate { (type, name, value) -> name to TYPES.getValue(type)(value) }

    private companion object {
        val TYPES: Map<String, (String) -> Any> =
            mapOf(
                "--es" to { it },
                "--ei" to { it.toInt() },
                "--ez" to { it.toBoolean() },
                "--ef" to { it.toFloat() },
            )
    }
}
