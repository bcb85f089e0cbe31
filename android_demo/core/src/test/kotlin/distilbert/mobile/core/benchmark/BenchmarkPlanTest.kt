// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class BenchmarkPlanTest {
    @Test
    fun `nothing given is a valid run of both`() {
        val plan = BenchmarkPlan.parse(emptyMap(), "now")
        assertEquals("now", plan.runId)
        assertEquals(listOf("natural", "padded"), plan.lengths.map { it.label })
        assertEquals(listOf(1024, 60, 4, 0), with(plan) { listOf(runs, seconds, threads, seed) })
        assertNull(plan.file)
        assertNull(plan.padTo)
    }

    @Test
    fun `reads everything, and writes the command that says the same`() {
        val extras =
            mapOf(
                "run_id" to "a-1",
                "lengths" to "padded",
                "runs" to 8,
                "seconds" to 0,
                "threads" to 2,
                "seed" to 7,
                "file" to "student-int8.tflite",
                "pad_to" to 400,
            )
        val command = BenchmarkPlan.parse(extras, "now").command
        assertEquals(
            "am start -W -n distilbert.mobile.app/.BenchmarkActivity --es run_id a-1 " +
                "--es lengths padded --ei runs 8 --ei seconds 0 --ei threads 2 --ei seed 7 " +
                "--es file student-int8.tflite --ei pad_to 400",
            command,
        )
        val words = command.split(' ').drop(5).chunked(3)
        val again = words.associate { (kind, name, value) -> name to typed(kind, value) }
        assertEquals(extras, again)
    }

    private fun typed(kind: String, value: String): Any =
        if (kind ==
            "--ei"
        ) {
            value.toInt()
        } else {
            value
        }

    @Test
    fun `refuses what is unknown, of the wrong type or out of range, in one line`() {
        val wrong =
            mapOf(
                "foo" to 1,
                "run_id" to "../x",
                "lengths" to "long",
                "runs" to 0,
                "seconds" to -1,
                "threads" to "4",
                "seed" to -1,
                "file" to 3,
                "pad_to" to 100_000,
            )
        for ((name, value) in wrong) {
            val error =
                assertThrows(BenchmarkException::class.java) {
                    BenchmarkPlan.parse(mapOf(name to value), "now")
                }
            val message = error.message!!
            assertTrue(message, message.startsWith("$name: "))
            assertTrue(message, name == "foo" || value.toString() in message)
        }
        for (id in listOf("", "a b", "a\n", "x".repeat(65), "é", null, "\u0000".repeat(500))) {
            val error =
                assertThrows(BenchmarkException::class.java) {
                    BenchmarkPlan.parse(mapOf("run_id" to id), "now")
                }
            assertTrue(error.message!!, error.message!!.all { it >= ' ' })
            assertTrue(error.message!!.length < 200)
        }
    }
}
