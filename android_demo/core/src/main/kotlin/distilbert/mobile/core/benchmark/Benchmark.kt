// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

import distilbert.mobile.core.ModelException
import distilbert.mobile.core.TaskModel
import distilbert.mobile.core.TaskResult
import java.util.concurrent.CancellationException

/**
 * What a benchmark needs of the world around it.
 *
 * @param M the models that it opens.
 * @param R what such a model gives for a query.
 */
interface BenchmarkWorld<M : TaskModel, R : TaskResult> {
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
    fun open(file: String?, threads: Int): M

    /** The queries for [model]; read once it is open, so that its memory is the model's alone. */
    fun workload(model: M): Workload<M, R>

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
 * First the model is opened and runs one query, which is the cold start; then golden cases tell
 * whether it computes right; then the queries run in a single stream, at their own lengths and
 * padded.
 * Each of the two ways has a model of its own, as an app has: one resized for every query, one
 * never.
 *
 * @return the result's document is that of `benchmarks/measure/schema.py`.
 * @throws BenchmarkException if the plan does not fit the model.
 * @throws ModelException if the model cannot be used.
 * @throws CancellationException once the world says so.
 */
fun <M : TaskModel, R : TaskResult> benchmark(
    plan: BenchmarkPlan,
    world: BenchmarkWorld<M, R>,
): BenchmarkResult {
    world.tell(Progress.Opening)
    val before = world.phone.state()
    val empty = world.phone.memory()
    val began = world.clock()
    world.open(plan.file, plan.threads).use { model ->
        val loaded = world.clock()
        val padTo = model.padTo(plan)
        val workload = world.workload(model).drawn(minOf(plan.runs, ROUND_QUERIES), plan.seed)
        val first = world.subject(workload, model, plan.lengths.first(), padTo)(0)
        val start =
            ColdStart(
                loadMs = (loaded - began) / NANOSECONDS,
                firstMs = first.times.inference,
                before = empty,
                after = world.phone.memory(),
            )
        val problem =
            model
                .selfTest(world::isCancelled) { done, of ->
                    world.tell(Progress.Testing(done, of))
                }.problem
        val stream = stream(plan, world, model, padTo, workload)
        return BenchmarkResult(
            plan = plan,
            created = world.created,
            device = world.phone.device(),
            before = before,
            after = world.phone.state(),
            model = BenchmarkResult.Model(model.file, model.runtime),
            padTo = padTo,
            workload = workload,
            scores = workload.scores(stream.results),
            start = start,
            stream = stream,
            cautions = listOfNotNull(problem) + world.phone.cautions(),
        )
    }
}

private fun <M : TaskModel, R : TaskResult> stream(
    plan: BenchmarkPlan,
    world: BenchmarkWorld<M, R>,
    model: M,
    padTo: Int,
    workload: Workload<M, R>,
): Stream<R> {
    val opened = ArrayList<M>()
    try {
        val subjects =
            plan.lengths.withIndex().associate { (index, lengths) ->
                val own =
                    if (index == 0) model else world.open(plan.file, plan.threads).also(opened::add)
                lengths to world.subject(workload, own, lengths, padTo)
            }
        return Stream.of(subjects, workload.size, plan, world::clock) { done, of, seconds ->
            world.tell(Progress.Asking(done, of, seconds))
        }
    } finally {
        opened.forEach { it.close() }
    }
}

private fun <M : TaskModel, R : TaskResult> BenchmarkWorld<M, R>.subject(
    workload: Workload<M, R>,
    model: M,
    lengths: InputLengths,
    padTo: Int,
): Subject<R> =
    { query ->
        workload.run(query, model, padTo.takeIf { lengths == InputLengths.PADDED }, ::isCancelled)
    }

/** The length to pad to: the plan's, if the model takes it and its inputs fit. */
private fun TaskModel.padTo(plan: BenchmarkPlan): Int {
    val longest = description.lengths.default
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
