// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.res.Resources
import distilbert.mobile.core.benchmark.BenchmarkResult
import distilbert.mobile.core.benchmark.InputLengths

/** A benchmark's result in words. */
internal class BenchmarkText(
    private val resources: Resources,
    private val result: BenchmarkResult,
) {
    /** Median and 90th percentile of each way. */
    fun figures(): String =
        result.summaries.entries.joinToString("\n\n") { (lengths, statistics) ->
            val figures =
                resources.getString(
                    R.string.median_and_p90,
                    resources.getString(lengths.title),
                    statistics.p50,
                    statistics.p90,
                )
            val count = resources.getString(R.string.median_of, statistics.count)
            resources.getString(R.string.lines, figures, count)
        }

    /** Opening and first inference, and memory where the system tells. */
    fun coldStart(): String {
        val start = resources.getString(R.string.cold_start, result.loadMs, result.firstMs)
        val peak = result.peakBytes ?: return start
        return resources.getString(
            R.string.lines,
            start,
            resources.getString(R.string.peak_memory, peak / MEGABYTE),
        )
    }

    /** Why not to trust the figures; null where nothing speaks against them. */
    fun cautions(): String? {
        val short = result.tooShort?.let { resources.getString(R.string.not_valid, it) }
        val others =
            result.warnings.map { resources.getString(R.string.caution, it.removeSuffix(".")) }
        return (listOfNotNull(short) + others).joinToString("\n").ifEmpty { null }
    }

    private companion object {
        const val MEGABYTE = 1_000_000
    }
}

/** What a user calls them. */
internal val InputLengths.title: Int
    get() =
        when (this) {
            InputLengths.NATURAL -> R.string.natural
            InputLengths.PADDED -> R.string.padded
        }
