// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

import distilbert.mobile.core.Statistics

/**
 * What one subject took, in milliseconds, with bootstrap 95 % intervals of mean and median.
 *
 * The same figures as `benchmarks.measure.latency.summarize`, from the same draws.
 */
class Summary private constructor(
    val statistics: Statistics,
    val mean: Interval,
    val p50: Interval,
) {
    /** The members of a report's `Summary`. */
    fun json(): Map<String, Any> =
        mapOf(
            "count" to statistics.count,
            "mean" to statistics.mean,
            "mean_low" to mean.low,
            "mean_high" to mean.high,
            "p50" to statistics.p50,
            "p50_low" to p50.low,
            "p50_high" to p50.high,
            "p90" to statistics.p90,
            "p99" to statistics.p99,
            "min" to statistics.min,
            "max" to statistics.max,
        )

    companion object {
        /**
         * Describes one subject.
         *
         * @param samples one round's queries in their order, then the next round's.
         * @param rounds how many rounds they hold. The bootstrap draws whole queries: one asked
         *     twice is no second independent observation.
         * @throws IllegalArgumentException if there are no samples, or no whole number of rounds.
         */
        fun of(samples: DoubleArray, rounds: Int = 1, seed: Int = 0): Summary {
            val sums = perQuery(samples, rounds)
            val sorted = samples.indices.sortedBy { samples[it] }.toIntArray()
            val means = DoubleArray(RESAMPLES)
            val medians = DoubleArray(RESAMPLES)
            resample(sums.size, seed) { draw, times ->
                means[draw] = times.indices.sumOf { times[it] * sums[it] } / samples.size
                medians[draw] = median(samples, sorted, times)
            }
            return Summary(Statistics.of(samples), Interval.of(means), Interval.of(medians))
        }

        /** The median where query i is taken times[i] times, found in ascending order. */
        private fun median(samples: DoubleArray, sorted: IntArray, times: IntArray): Double {
            val upper = samples.size / 2
            val lower = (samples.size - 1) / 2
            var passed = 0
            var first = Double.NaN
            for (place in sorted) {
                passed += times[place % times.size]
                if (first.isNaN() && passed > lower) first = samples[place]
                if (passed > upper) return first + (samples[place] - first) / 2
            }
            error("draws take as many samples as there are")
        }
    }
}

/** Bounds of a 95 % percentile interval (Efron & Tibshirani 1993, chapter 13). */
class Interval private constructor(val low: Double, val high: Double) {
    internal companion object {
        private const val TAIL = 0.025

        fun of(draws: DoubleArray): Interval {
            val sorted = draws.sortedArray()
            return Interval(
                Statistics.percentile(sorted, TAIL),
                Statistics.percentile(sorted, 1 - TAIL),
            )
        }
    }
}

/** How many times the mean time of a faster subject that of a slower one is. */
class Ratio private constructor(val ratio: Double, val bounds: Interval) {
    companion object {
        /** Both on the same queries, as `benchmarks.measure.latency.ratio` pairs them. */
        fun of(slower: DoubleArray, faster: DoubleArray, rounds: Int, seed: Int): Ratio {
            require(slower.size == faster.size) { "a ratio pairs the same queries" }
            val (above, below) = listOf(slower, faster).map { perQuery(it, rounds) }
            val ratios = DoubleArray(RESAMPLES)
            resample(above.size, seed) { draw, times ->
                val drawn = times.indices.sumOf { times[it] * above[it] }
                ratios[draw] = drawn / times.indices.sumOf { times[it] * below[it] }
            }
            return Ratio(above.sum() / below.sum(), Interval.of(ratios))
        }
    }
}

/**
 * How much longer the same queries took in their slowest round than in their fastest; of many
 * rounds a few are made, as `benchmarks.measure.latency` does.
 */
internal fun spread(samples: DoubleArray, rounds: Int): Double {
    val queries = perQuery(samples, rounds).size
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

/** The time of each query, all rounds together. */
private fun perQuery(samples: DoubleArray, rounds: Int): DoubleArray {
    require(samples.isNotEmpty() && rounds > 0 && samples.size % rounds == 0) {
        "got ${samples.size} samples and $rounds rounds; every round needs as many"
    }
    val sums = DoubleArray(samples.size / rounds)
    for (place in samples.indices) sums[place % sums.size] += samples[place]
    return sums
}

/** Calls [use] with each draw's number and how often it takes each query. */
private inline fun resample(queries: Int, seed: Int, use: (Int, IntArray) -> Unit) {
    val random = Pcg64(seed)
    for (draw in 0 until RESAMPLES) {
        val times = IntArray(queries)
        repeat(queries) { times[random.below(queries)]++ }
        use(draw, times)
    }
}

// As in benchmarks/measure/latency.py, which gives the reasons.
private const val RESAMPLES = 2000
private const val SPREAD_ROUNDS = 3
