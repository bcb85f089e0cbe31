// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

import distilbert.mobile.core.TaskResult
import java.util.Locale
import java.util.Random

/** Runs the query at a place of the workload in one of several ways. */
internal typealias Subject<R> = (Int) -> R

/**
 * A single stream of queries through every subject: one query at a time, the next one issued when
 * the last is complete (Reddi et al. 2020, section III-D).
 *
 * @property subjects what each took.
 * @property rounds how often each query ran.
 * @property queries that each subject ran, all rounds together.
 * @property seconds that all subjects were timed.
 */
internal class Stream<R : TaskResult>(
    val subjects: Map<InputLengths, Timed<R>>,
    val rounds: Int,
    val queries: Int,
    val seconds: Double,
) {
    /** Why the figures are not valid ones; null where they are. */
    val tooShort: String? =
        if (queries >= BenchmarkPlan.VALID_QUERIES && seconds >= BenchmarkPlan.VALID_SECONDS) {
            null
        } else {
            String.format(
                Locale.ROOT,
                "%,d queries in %.1f s, where a valid figure has at least %,d and %d s",
                queries,
                seconds,
                BenchmarkPlan.VALID_QUERIES,
                BenchmarkPlan.VALID_SECONDS,
            )
        }

    /** What the first subject gave in the last round, in the order of the queries. */
    val results: List<R>
        get() =
            subjects.values
                .first()
                .results

    /** Milliseconds of a subject's [queries] round after round, and what it gave last. */
    class Timed<R : TaskResult>(private val queries: Int) {
        private val tokenizing = ArrayList<Double>()
        private val inference = ArrayList<Double>()
        private val decoding = ArrayList<Double>()
        private var round = ArrayList<R>()

        val tokenizeMs get() = tokenizing.toDoubleArray()
        val inferMs get() = inference.toDoubleArray()
        val decodeMs get() = decoding.toDoubleArray()

        /** Of the last round, in the order of the queries. */
        val results: List<R> get() = round

        fun add(result: R) {
            tokenizing.add(result.times.tokenizing)
            inference.add(result.times.inference)
            decoding.add(result.times.decoding)
            if (round.size == queries) round.clear()
            round.add(result)
        }
    }

    companion object {
        // With one round alone nothing tells a slow query from a disturbed one.
        private const val LEAST_ROUNDS = 2
        private const val WARM_UP = 3
        private const val NANOSECONDS = 1e9

        /**
         * Runs whole rounds until there are enough queries and seconds.
         *
         * @param queries of a round; a subject takes a place among them.
         * @param clock nanoseconds.
         * @param progress called with (queries done, of how many at least, seconds).
         */
        fun <R : TaskResult> of(
            subjects: Map<InputLengths, Subject<R>>,
            queries: Int,
            plan: BenchmarkPlan,
            clock: () -> Long,
            progress: (Int, Int, Double) -> Unit,
        ): Stream<R> {
            for (subject in subjects.values) repeat(minOf(WARM_UP, queries)) { subject(it) }
            val turns = subjects.keys.toMutableList()
            val timed = subjects.mapValues { Timed<R>(queries) }
            val random = Random(plan.seed.toLong())
            val planned = maxOf(LEAST_ROUNDS, plan.runs.dividedUp(queries))
            var rounds = 0
            var seconds = 0.0
            while (rounds < planned || seconds < plan.seconds) {
                for (query in 0 until queries) {
                    turns.shuffle(random)
                    for (turn in turns) {
                        val began = clock()
                        val result = subjects.getValue(turn)(query)
                        seconds += (clock() - began) / NANOSECONDS
                        timed.getValue(turn).add(result)
                    }
                    val total = maxOf(planned, rounds + 1) * queries
                    progress(rounds * queries + query + 1, total, seconds)
                }
                rounds++
            }
            return Stream(timed, rounds, rounds * queries, seconds)
        }

        private fun Int.dividedUp(divisor: Int) = (this + divisor - 1) / divisor
    }
}
