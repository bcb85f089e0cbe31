// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

import distilbert.mobile.core.GoldenFiles
import distilbert.mobile.core.Json
import distilbert.mobile.core.Statistics
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test

class FiguresGoldenTest {
    private val golden = GoldenFiles.figures

    @Test
    fun `summaries are those of Python`() {
        for (case in golden["summaries"].items()) {
            val samples = case["samples"].doubles()
            val rounds = case["rounds"].integer()
            val found = Statistics.of(samples).json()
            val expected = case["summary"].members()
            assertEquals(expected.keys.toList(), found.keys.toList())
            for ((name, value) in expected) {
                assertEquals(name, value.number(), (found[name] as Number).toDouble(), TOLERANCE)
            }
            assertEquals(case["spread"].number(), spread(samples, rounds), TOLERANCE)
        }
    }

    @Test
    fun `ratios are those of Python`() {
        for (case in golden["ratios"].items()) {
            val found = ratio(case["slower"].doubles(), case["faster"].doubles())
            assertEquals(case["ratio"].number(), found, TOLERANCE)
        }
    }

    @Test
    fun `refuses samples that make no whole rounds`() {
        for (bad in listOf(0 to 1, 3 to 2, 3 to 0)) {
            assertThrows(IllegalArgumentException::class.java) {
                spread(DoubleArray(bad.first) { 1.0 }, bad.second)
            }
        }
        assertThrows(IllegalArgumentException::class.java) {
            ratio(DoubleArray(2) { 1.0 }, DoubleArray(3) { 1.0 })
        }
    }

    private fun Json.doubles() = items().map { it.number() }.toDoubleArray()

    private companion object {
        // Sums are rounded in another order than NumPy's: some units in the last place.
        const val TOLERANCE = 1e-9
    }
}
