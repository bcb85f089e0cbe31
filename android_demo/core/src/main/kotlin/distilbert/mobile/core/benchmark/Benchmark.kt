// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

import distilbert.mobile.core.Answer
import distilbert.mobile.core.AnswerModel
import distilbert.mobile.core.ModelException
import java.util.concurrent.CancellationException

/** What a benchmark needs of the world around it. */
interface BenchmarkWorld {
    val phone: Phone

    /** The time of day, as a report writes it: `2026-01-31T12:00:00Z`. */
    val created: String

    /** Nanoseconds of a clock that never goes back. */
    fun clock(): Long

    /**
     * Opens a model.
     *
     * @param file its name in `model.json`; null takes the default.
     * @throws ModelException if it cannot be used.
     */
    fun open(file: String?, threads: Int): AnswerModel

    /** What is asked of [model]; read once it is open, so that its memory is the model's alone. */
    fun questions(model: AnswerModel): BenchmarkQuestions

    /** Whether to stop. */
    fun isCancelled(): Boolean

    /** Called now and then, outside of what is timed. */
    fun tell(progress: Progress)
}

/** How far a benchmark is. */
sealed interface Progress {
    /** The model is opened and answers for the first time. */
    data object Opening : Progress

    /** Golden cases, [done] of [of]. */
    data class Testing(val done: Int, val of: Int) : Progress

    /** Queries of each subject, [done] of at least [of], in [seconds]. */
    data class Asking(val done: Int, val of: Int, val seconds: Double) : Progress
}

/** A cold start: milliseconds, and what the process held before, at the most, and after. */
internal class ColdStart(
    val loadMs: Double,
    val firstMs: Double,
    val before: ProcessMemory,
    val after: ProcessMemory,
)

/**
 * Measures a model on this phone.
 *
 * First the model is opened and asked once, which is the cold start; then golden cases tell whether
 * it computes right; then questions are asked in a single stream, at their own lengths and padded.
 * Each of the two ways has a model of its own, as an app has: one resized for every query, one
 * never.
 *
 * @return the result's document is that of `benchmarks/measure/schema.py`.
 * @throws BenchmarkException if the plan does not fit the model.
 * @throws ModelException if the model cannot be used.
 * @throws CancellationException once the world says so.
 */
fun benchmark(plan: BenchmarkPlan, world: BenchmarkWorld): BenchmarkResult {
    world.tell(Progress.Opening)
    val before = world.phone.state()
    val empty = world.phone.memory()
    val began = world.clock()
    world.open(plan.file, plan.threads).use { model ->
        val loaded = world.clock()
        val padTo = model.padTo(plan)
        val set = world.questions(model).drawn(minOf(plan.runs, ROUND_QUERIES), plan.seed)
        val first = world.subject(model, plan.lengths.first(), padTo)(set.questions.first())
        val start =
            ColdStart(
                loadMs = (loaded - began) / NANOSECONDS,
                firstMs = first.times.inference,
                before = empty,
                after = world.phone.memory(),
            )
        val problem =
            model.selfTest(world::isCancelled) { done, of ->
                world.tell(Progress.Testing(done, of))
            }
        val stream = stream(plan, world, model, padTo, set)
        return BenchmarkResult(
            plan = plan,
            created = world.created,
            device = world.phone.device(),
            before = before,
            after = world.phone.state(),
            model = BenchmarkResult.Model(model.file, model.runtime),
            padTo = padTo,
            questions = set,
            start = start,
            stream = stream,
            cautions = listOfNotNull(problem) + world.phone.cautions(),
        )
    }
}

private fun stream(
    plan: BenchmarkPlan,
    world: BenchmarkWorld,
    model: AnswerModel,
    padTo: Int,
    set: BenchmarkQuestions,
): Stream {
    val opened = ArrayList<AnswerModel>()
    try {
        val subjects =
            plan.lengths.withIndex().associate { (index, lengths) ->
                val own =
                    if (index == 0) model else world.open(plan.file, plan.threads).also(opened::add)
                lengths to world.subject(own, lengths, padTo)
            }
        return Stream.of(subjects, set.questions, plan, world::clock) { done, of, seconds ->
            world.tell(Progress.Asking(done, of, seconds))
        }
    } finally {
        opened.forEach { it.close() }
    }
}

private fun BenchmarkWorld.subject(model: AnswerModel, lengths: InputLengths, padTo: Int): Subject =
    { question ->
        model.answer(
            question.passage,
            question.question,
            padTo.takeIf { lengths == InputLengths.PADDED },
            ::isCancelled,
        )
    }

/** The length to pad to: the plan's, if the model takes it and its windows fit. */
private fun AnswerModel.padTo(plan: BenchmarkPlan): Int {
    val longest = description.limits.maxLength
    val padTo = plan.padTo ?: longest
    if (padTo !in longest..description.lengths.longest) {
        throw BenchmarkException(
            "pad_to: got $padTo; $longest (the longest window) to " +
                "${description.lengths.longest} (the model's longest input) are allowed",
        )
    }
    return padTo
}

private const val NANOSECONDS = 1e6

// Distinct queries of a round: with two rounds they make a valid figure.
private const val ROUND_QUERIES = BenchmarkPlan.VALID_QUERIES / 2
