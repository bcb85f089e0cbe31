// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Test

class StatisticsTest {
    @Test
    fun `percentiles are those of NumPy`() {
        for (case in GoldenFiles.answers["statistics"].items()) {
            val samples = case["samples"].items().map { it.number() }.toDoubleArray()
            val found = Statistics.of(samples)
            assertEquals(samples.size, found.count)
            val names = listOf("mean", "p50", "p90", "p99", "min", "max")
            val expected = names.map { case[it].number() }.toDoubleArray()
            val all = with(found) { doubleArrayOf(mean, p50, p90, p99, min, max) }
            // Sums are rounded in another order than NumPy's: some units in the last place.
            assertArrayEquals(expected, all, 1e-10)
        }
    }
}
