// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

import distilbert.mobile.core.ModelFile
import distilbert.mobile.core.Statistics
import java.util.Locale
import kotlin.math.roundToLong

/**
 * What a benchmark found.
 *
 * @property summaries milliseconds of inference a query.
 * @property tooShort why the figures are not valid ones; null where they are.
 */
class BenchmarkResult internal constructor(
    private val plan: BenchmarkPlan,
    private val created: String,
    private val device: Device,
    private val before: PhoneState,
    private val after: PhoneState,
    private val model: Model,
    private val padTo: Int,
    private val workload: Workload<*, *>,
    private val scores: Map<String, Double>?,
    private val start: ColdStart,
    private val stream: Stream<*>,
    private val cautions: List<String>,
) {
    /** The [file] that was measured, and the [runtime] that ran it. */
    internal class Model(val file: ModelFile, val runtime: String)

    val summaries: Map<InputLengths, Statistics> =
        stream.subjects.mapValues { Statistics.of(it.value.inferMs) }
    val tooShort: String? = stream.tooShort

    /** A cold start: milliseconds to open the model, and of its first inference. */
    val loadMs: Double = start.loadMs
    val firstMs: Double = start.firstMs

    /** The most memory that the process held until its first answer; null where it is not told. */
    val peakBytes: Long? = start.after.peak

    /** Why not to trust the figures. */
    val warnings: List<String> = cautions + listOfNotNull(shared(), busy()) + heat()

    /** Mean milliseconds of each query over all rounds by its number of tokens, for a plot. */
    val points: Map<InputLengths, List<Pair<Int, Double>>> =
        stream.subjects.mapValues { (_, timed) ->
            val samples = timed.inferMs
            tokens().mapIndexed { query, tokens ->
                val mine = (query until samples.size step workload.size)
                tokens to mine.sumOf { samples[it] } / stream.rounds
            }
        }

    /** The document of `benchmarks/measure/schema.py` on one line. */
    fun document(): String = jsonText(json())

    private fun json(): Map<String, Any?> =
        mapOf(
            "kind" to "benchmark",
            "schema_version" to SCHEMA,
            "created" to created,
            "command" to plan.command,
            "seed" to plan.seed,
            "valid" to (tooShort == null),
            "warnings" to warnings,
            "machine" to device.machineJson(),
            "device" to device.json(model.runtime, before, after),
            "load_average_after" to null,
            "other_work_cores" to null,
            "versions" to versions(),
            "queries" to
                mapOf(
                    "source" to workload.source,
                    "sha256" to workload.sha256,
                    "count" to workload.size,
                    "available" to workload.available,
                    "tokens" to tokens(),
                ),
            "metrics" to workload.metrics.map { it.json() },
            "files" to listOf(file()),
            "runs" to listOf(run()),
            "profiles" to emptyList<Any>(),
        )

    private fun versions(): Map<String, String?> {
        val parts = NAME_AND_VERSION.matchEntire(model.runtime)?.groupValues
        val name = parts?.get(1) ?: model.runtime.filterNot { it in "()" }
        return mapOf(
            "distilbert-mobile-app" to device.appVersion,
            name.lowercase().replace(' ', '-') to parts?.get(2),
        )
    }

    private fun file(): Map<String, Any?> =
        mapOf(
            "name" to name,
            "path" to path,
            "bytes" to model.file.bytes,
            "sha256" to model.file.sha256,
            "parts" to null,
            "scores" to scores?.mapValues { it.value.rounded(TWO) },
        )

    private fun run(): Map<String, Any?> {
        val method = if (tooShort == null) METHOD else "NOT VALID ($tooShort): $METHOD"
        val samples = stream.subjects.mapValues { it.value.inferMs }
        return mapOf(
            "threads" to plan.threads,
            "seconds" to stream.seconds.rounded(THREE),
            "too_short" to tooShort,
            "latency" to
                mapOf(
                    "method" to method,
                    "threads" to plan.threads,
                    "queries" to workload.size,
                    "rounds" to stream.rounds,
                    "padded_length" to padTo,
                    "mean_tokens" to tokens().average(),
                    "busy" to busy(),
                    "subjects" to mapOf(name to subject()),
                    "ratios" to ratios(samples),
                    "samples_ms" to mapOf(name to samples.labeled { it.rounded() }),
                ),
            "overhead" to mapOf(name to stream.subjects.labeled { overhead(it) }),
            "memory" to mapOf(name to memory()),
            "weight_cache" to mapOf(name to null),
        )
    }

    private fun subject(): Map<String, Any?> =
        mapOf("path" to path) +
            InputLengths.entries.associate { it.label to summaries[it]?.json() } +
            coldStart()

    private fun memory(): Map<String, Any?> =
        coldStart() +
            mapOf(
                "private_bytes" to start.after.anonymous,
                "file_backed_bytes" to start.after.fileBacked,
                "empty_private_bytes" to start.before.anonymous,
                "empty_file_backed_bytes" to start.before.fileBacked,
            )

    /** Memory that is not told counts as none: a report has to have a number there. */
    private fun coldStart(): Map<String, Any?> =
        mapOf(
            "load_ms" to start.loadMs,
            "first_ms" to start.firstMs,
            "peak_rss_bytes" to (start.after.peak ?: 0L),
            "empty_rss_bytes" to (start.before.resident ?: 0L),
        )

    /** How many times faster queries are at their own lengths than padded. */
    private fun ratios(samples: Map<InputLengths, DoubleArray>): List<Map<String, Any>> {
        val padded = samples[InputLengths.PADDED] ?: return emptyList()
        val natural = samples[InputLengths.NATURAL] ?: return emptyList()
        return listOf(
            mapOf(
                "faster" to name,
                "slower" to name,
                "faster_lengths" to InputLengths.NATURAL.label,
                "slower_lengths" to InputLengths.PADDED.label,
                "ratio" to ratio(slower = padded, faster = natural),
            ),
        )
    }

    private fun overhead(timed: Stream.Timed<*>): Map<String, Any> {
        val outside = timed.tokenizeMs.sum() + timed.decodeMs.sum()
        return mapOf(
            "tokenize" to Statistics.of(timed.tokenizeMs).json(),
            "decode" to Statistics.of(timed.decodeMs).json(),
            "share_percent" to PERCENT * outside / (outside + timed.inferMs.sum()),
            "samples_ms" to
                mapOf(
                    "tokenize" to timed.tokenizeMs.rounded(),
                    "decode" to timed.decodeMs.rounded(),
                ),
        )
    }

    private val name get() = model.file.path
    private val path get() = "model/$name"

    private fun tokens(): List<Int> = stream.results.map { it.tokens }

    /** Why the rounds say that other work disturbed them, as `benchmarks.measure.latency.busy`. */
    private fun busy(): String? {
        val spreads = stream.subjects.mapValues { spread(it.value.inferMs, stream.rounds) }
        val (lengths, worst) = spreads.maxBy { it.value }.toPair()
        if (worst <= BUSY_SPREAD) return null
        return String.format(
            Locale.ROOT,
            "the machine was busy: %s %s took %.2f times as long in each query's slowest round " +
                "as in its fastest (at most %.2f is expected)",
            name,
            lengths.label,
            worst,
            BUSY_SPREAD,
        )
    }

    private fun shared(): String? =
        "${plan.threads} threads had to share ${device.cores} cores"
            .takeIf { plan.threads > device.cores }

    private fun heat(): List<String> =
        listOf("before" to before, "after" to after).mapNotNull { (moment, state) ->
            val status = state.thermalStatus?.takeIf { it >= MODERATE } ?: return@mapNotNull null
            "the phone was hot and held its clocks down: thermal status $status $moment the run"
        }

    private companion object {
        /** "LiteRT 2.3.0", or in parentheses as in "LiteRT (TensorFlow Lite 2.20.0)". */
        val NAME_AND_VERSION = Regex("""(?:[^()]* \()?([^()]+) ([^()\s]*\d[^()\s]*)\)?""")

        // Of benchmarks/measure/schema.py.
        const val SCHEMA = 2

        const val METHOD =
            "single stream: one question at a time, subjects interleaved in an order shuffled by " +
                "seed, all in one process; times are inference alone, tokenizing and decoding " +
                "are told apart; load, first run and memory at opening, before all others"

        // As in benchmarks/measure/latency.py, which gives the reason.
        const val BUSY_SPREAD = 1.1

        // From Android's THERMAL_STATUS_MODERATE on, clocks are held down.
        const val MODERATE = 2
        const val PERCENT = 100.0
        const val TWO = 1e2
        const val THREE = 1e3
        const val FOUR = 1e4

        fun <T, R> Map<InputLengths, T>.labeled(make: (T) -> R): Map<String, R> =
            entries.associate { (lengths, value) -> lengths.label to make(value) }

        fun DoubleArray.rounded() = map { it.rounded(FOUR) }

        fun Double.rounded(scale: Double) = (this * scale).roundToLong() / scale
    }
}
