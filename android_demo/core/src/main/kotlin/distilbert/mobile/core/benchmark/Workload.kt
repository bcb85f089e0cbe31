// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

import distilbert.mobile.core.TaskModel
import distilbert.mobile.core.TaskResult

/**
 * The queries that a benchmark runs, and how their results are scored: the one part of a benchmark
 * that knows the task.
 *
 * @param M the task's models.
 * @param R what such a model gives for a query.
 */
interface Workload<in M : TaskModel, R : TaskResult> {
    /** Where the queries come from. */
    val source: String

    /** Digest of the set that they were drawn from, hexadecimal; null where there is none. */
    val sha256: String?

    /** How many queries the set has. */
    val available: Int

    /** How many queries this workload has. */
    val size: Int

    /** What [scores] gives, the headline's metric first; empty where no true answers are known. */
    val metrics: List<Metric>

    /** At most [count] of the queries, in an order that [seed] decides. */
    fun drawn(count: Int, seed: Int): Workload<M, R>

    /**
     * Runs the query at place [query], from 0 to [size] - 1.
     *
     * @param padTo pad every input to so many word pieces; null runs each at its own length.
     * @param isCancelled asked before each input; once it says so, a `CancellationException`.
     */
    fun run(query: Int, model: M, padTo: Int?, isCancelled: () -> Boolean): R

    /**
     * Scores one result of each query, in the order of the queries.
     *
     * @return a value for each of [metrics] by its name, in its unit; null where these are empty.
     */
    fun scores(results: List<R>): Map<String, Double>?
}

/**
 * A measure of how right results are.
 *
 * @property name in a report.
 * @property label for a reader.
 * @property unit of its values, such as `%`.
 */
class Metric(val name: String, val label: String, val unit: String) {
    internal fun json() = mapOf("name" to name, "label" to label, "unit" to unit)
}
