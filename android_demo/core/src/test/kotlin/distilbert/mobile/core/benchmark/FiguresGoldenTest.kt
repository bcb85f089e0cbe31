// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

import distilbert.mobile.core.GoldenFiles
import distilbert.mobile.core.Json
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test

class FiguresGoldenTest {
    private val golden = GoldenFiles.figures

    @Test
    fun `random numbers are those of NumPy`() {
        for (case in golden["integers"].items()) {
            val random = Pcg64(case["seed"].integer())
            val expected = case["drawn"].integers()
            val found = IntArray(expected.size) { random.below(case["limit"].integer()) }
            assertArrayEquals(expected, found)
        }
    }

    @Test
    fun `summaries with their intervals are those of Python`() {
        for (case in golden["summaries"].items()) {
            val samples = case["samples"].doubles()
            val rounds = case["rounds"].integer()
            val found = Summary.of(samples, rounds).json()
            val expected = case["summary"].members()
            assertEquals(expected.keys.toList(), found.keys.toList())
            for ((name, value) in expected) {
                assertEquals(name, value.number(), (found[name] as Number).toDouble(), TOLERANCE)
            }
            assertEquals(case["spread"].number(), spread(samples, rounds), TOLERANCE)
        }
    }

    @Test
    fun `ratios with their intervals are those of Python`() {
        for (case in golden["ratios"].items()) {
            val slower = case["slower"].doubles()
            val faster = case["faster"].doubles()
            val (rounds, seed) = listOf("rounds", "seed").map { case[it].integer() }
            val found = Ratio.of(slower, faster, rounds, seed)
            val all = doubleArrayOf(found.ratio, found.bounds.low, found.bounds.high)
            assertArrayEquals(case["ratio"].doubles(), all, TOLERANCE)
        }
    }

    @Test
    fun `refuses samples that make no whole rounds`() {
        for (bad in listOf(0 to 1, 3 to 2, 3 to 0)) {
            assertThrows(IllegalArgumentException::class.java) {
                Summary.of(DoubleArray(bad.first) { 1.0 }, bad.second)
            }
        }
    }

    private fun Json.doubles() = items().map { it.number() }.toDoubleArray()

    private companion object {
        // Sums are rounded in another order than NumPy's: some units in the last place.
        const val TOLERANCE = 1e-9
    }
}
