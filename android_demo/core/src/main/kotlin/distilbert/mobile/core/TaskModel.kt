// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

/**
 * An opened model of any task. A screen and a benchmark see a model through this interface, and a
 * test can stand in for it.
 */
interface TaskModel : AutoCloseable {
    /** What `model.json` says. */
    val description: ModelDescription

    /** The file that was opened. */
    val file: ModelFile

    /** The runtime and its version, such as `LiteRT 2.3.0`. */
    val runtime: String

    /**
     * Runs the golden cases of the build.
     *
     * @param isCancelled asked before each input; once it says so, a `CancellationException`.
     * @param onProgress called with the number of cases that are done, and of all cases.
     * @return whether all results are right, and a sentence for the user if they are not.
     * @throws ModelException if the golden cases are missing or belong to another build.
     */
    fun selfTest(
        isCancelled: () -> Boolean = { false },
        onProgress: (done: Int, of: Int) -> Unit = { _, _ -> },
    ): SelfTest

    /** The same without a callback, for callers in Java. */
    fun selfTest(): SelfTest = selfTest({ false }) { _, _ -> }
}

/**
 * What came of the golden cases on this device.
 *
 * @property cases how many were compared.
 * @property largestError of a logit, as a share of the range of its case's logits.
 * @property nearTies answers that differ because two score alike here.
 * @property problem what differs, on which runtime and processor, and what to ship instead; null
 *   if the test is passed.
 */
class SelfTest(val cases: Int, val largestError: Float, val nearTies: Int, val problem: String?) {
    /** Whether the file may be used on this device. */
    val isPassed get() = problem == null
}

/** The result of one query of any task, with what a benchmark records of it. */
interface TaskResult {
    /** Word pieces of all inputs that the query took, special ones included, padding not. */
    val tokens: Int

    /** What the query took. */
    val times: Times
}

/** Milliseconds spent on tokenizing, in the model, and on decoding its outputs. */
class Times(val tokenizing: Double, val inference: Double, val decoding: Double)

/** Measures one lap after the other. */
internal class LapTimer {
    private var last = System.nanoTime()

    /** Milliseconds since the last lap, or since the timer was made. */
    fun takeLap(): Double {
        val now = System.nanoTime()
        val lap = (now - last) / NANOSECONDS
        last = now
        return lap
    }

    private companion object {
        const val NANOSECONDS = 1e6
    }
}
