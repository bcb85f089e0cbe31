// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

import distilbert.mobile.core.Answer
import java.util.Locale
import java.util.Random

/** Answers a question in one of several ways. */
internal typealias Subject = (BenchmarkQuestion) -> Answer

/**
 * A single stream of queries through every subject: one question at a time, the next one asked when
 * the last is answered (Reddi et al. 2020, section III-D).
 *
 * @property subjects what each took.
 * @property rounds how often the questions were gone through.
 * @property queries asked of each subject, all rounds together.
 * @property seconds that all subjects were timed.
 */
internal class Stream(
    val subjects: Map<InputLengths, Timed>,
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

    /** Milliseconds of a subject's queries round after round, and what it answered last. */
    class Timed {
        private val tokenizing = ArrayList<Double>()
        private val inference = ArrayList<Double>()
        private val decoding = ArrayList<Double>()
        private val last = LinkedHashMap<BenchmarkQuestion, Answer>()

        val tokenizeMs get() = tokenizing.toDoubleArray()
        val inferMs get() = inference.toDoubleArray()
        val decodeMs get() = decoding.toDoubleArray()

        /** By question; those of the last round. */
        val answers: Map<BenchmarkQuestion, Answer> get() = last

        fun add(question: BenchmarkQuestion, answer: Answer) {
            tokenizing.add(answer.times.tokenizing)
            inference.add(answer.times.inference)
            decoding.add(answer.times.decoding)
            last[question] = answer
        }
    }

    companion object {
        // With one round alone nothing tells a slow query from a disturbed one.
        private const val LEAST_ROUNDS = 2
        private const val WARM_UP = 3
        private const val NANOSECONDS = 1e9

        /**
         * Asks until there are enough queries and seconds, in whole rounds.
         *
         * @param clock nanoseconds.
         * @param progress called with (queries done, of how many at least, seconds).
         */
        fun of(
            subjects: Map<InputLengths, Subject>,
            questions: List<BenchmarkQuestion>,
            plan: BenchmarkPlan,
            clock: () -> Long,
            progress: (Int, Int, Double) -> Unit,
        ): Stream {
            for (subject in subjects.values) questions.take(WARM_UP).forEach { subject(it) }
            val turns = subjects.keys.toMutableList()
            val timed = subjects.mapValues { Timed() }
            val random = Random(plan.seed.toLong())
            var rounds = 0
            var seconds = 0.0

            fun isEnough() =
                rounds >= maxOf(LEAST_ROUNDS, plan.runs.dividedUp(questions.size)) &&
                    seconds >= plan.seconds
            while (!isEnough()) {
                for ((index, question) in questions.withIndex()) {
                    turns.shuffle(random)
                    for (turn in turns) {
                        val began = clock()
                        val answer = subjects.getValue(turn)(question)
                        seconds += (clock() - began) / NANOSECONDS
                        timed.getValue(turn).add(question, answer)
                    }
                    val planned = maxOf(LEAST_ROUNDS, plan.runs.dividedUp(questions.size))
                    val total = maxOf(planned, rounds + 1) * questions.size
                    progress(rounds * questions.size + index + 1, total, seconds)
                }
                rounds++
            }
            return Stream(timed, rounds, rounds * questions.size, seconds)
        }

        private fun Int.dividedUp(divisor: Int) = (this + divisor - 1) / divisor
    }
}
