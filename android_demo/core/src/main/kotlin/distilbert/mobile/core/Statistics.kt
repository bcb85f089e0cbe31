// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

import kotlin.math.floor

/**
 * What samples have in common; in their unit.
 *
 * Percentiles interpolate between the two nearest samples (Hyndman & Fan 1996, definition 7), as
 * the report of the build computes them.
 */
class Statistics private constructor(
    val count: Int,
    val mean: Double,
    val p50: Double,
    val p90: Double,
    val p99: Double,
    val min: Double,
    val max: Double,
) {
    companion object {
        /** @throws IllegalArgumentException if there are no [samples]. */
        fun of(samples: DoubleArray): Statistics {
            require(samples.isNotEmpty()) { "no samples: at least one is needed" }
            val sorted = samples.sortedArray()
            return Statistics(
                count = sorted.size,
                mean = sorted.average(),
                p50 = percentile(sorted, share = 0.50),
                p90 = percentile(sorted, share = 0.90),
                p99 = percentile(sorted, share = 0.99),
                min = sorted.first(),
                max = sorted.last(),
            )
        }

        /** Of ascending samples; [share] from 0 to 1. */
        private fun percentile(sorted: DoubleArray, share: Double): Double {
            val place = (sorted.size - 1) * share
            val below = floor(place).toInt()
            val above = minOf(below + 1, sorted.size - 1)
            return sorted[below] + (sorted[above] - sorted[below]) * (place - below)
        }
    }
}
