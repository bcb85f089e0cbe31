// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

import distilbert.mobile.core.Statistics

/**
 * The members of a report's summary, in the unit of the samples.
 *
 * It has no confidence intervals: whoever reads the report has the samples and computes them.
 */
internal fun Statistics.json(): Map<String, Any> =
    mapOf(
        "count" to count,
        "mean" to mean,
        "p50" to p50,
        "p90" to p90,
        "p99" to p99,
        "min" to min,
        "max" to max,
    )

/**
 * How many times the mean time of a faster subject that of a slower one is.
 *
 * @param slower the slower subject's samples, in the same unit as the other's.
 * @param faster those of the same queries.
 * @throws IllegalArgumentException if they are none, or not as many.
 */
internal fun ratio(slower: DoubleArray, faster: DoubleArray): Double {
    require(slower.isNotEmpty() && slower.size == faster.size) {
        "got ${slower.size} and ${faster.size} samples; a ratio needs the same queries of both"
    }
    return slower.sum() / faster.sum()
}

/**
 * How much longer the same queries took in their slowest round than in their fastest; of many
 * rounds a few are made, as `benchmarks.measure.latency` does.
 *
 * @param samples one round's queries in their order, then the next round's.
 * @param rounds how many rounds they hold.
 * @throws IllegalArgumentException if there are no samples, or no whole number of rounds.
 */
internal fun spread(samples: DoubleArray, rounds: Int): Double {
    require(samples.isNotEmpty() && rounds > 0 && samples.size % rounds == 0) {
        "got ${samples.size} samples and $rounds rounds; every round needs as many"
    }
    val queries = samples.size / rounds
    val parts = minOf(rounds, SPREAD_ROUNDS)
    val slowest = DoubleArray(queries)
    val fastest = DoubleArray(queries) { Double.MAX_VALUE }
    var from = 0
    for (part in 0 until parts) {
        val size = rounds / parts + if (part < rounds % parts) 1 else 0
        for (query in 0 until queries) {
            val mean = (from until from + size).sumOf { samples[it * queries + query] } / size
            slowest[query] = maxOf(slowest[query], mean)
            fastest[query] = minOf(fastest[query], mean)
        }
        from += size
    }
    return slowest.sum() / fastest.sum()
}

// As in benchmarks/measure/latency.py, which gives the reason.
private const val SPREAD_ROUNDS = 3
