// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.core.ModelException
import java.util.concurrent.CancellationException
import kotlin.math.abs

/** Compares golden cases of a task with what comes out here. */
internal abstract class GoldenComparison<in C> {
    private var cases = 0

    /** Cases whose logits are not those of the build. */
    var different = 0
        private set

    /** Cases whose logits are, and whose result is another. */
    var nearTies = 0
        private set
    var largestError = 0f
        private set

    /** Whether the file is computed right as far as the cases show it. */
    val isRight get() = different == 0 && nearTies * CASES_PER_NEAR_TIE <= cases

    /**
     * Runs one case.
     *
     * @throws CancellationException once [isCancelled] says so.
     * @throws ModelException if the file has no result in it, or its texts are cut differently.
     */
    abstract fun add(case: C, isCancelled: () -> Boolean)

    /**
     * Counts one case.
     *
     * @param error of a logit, and [others] of what follows from the logits, as shares of their
     *   range.
     * @param isEqual whether the result is that of the build.
     */
    protected fun count(error: Float, isEqual: Boolean, others: Float = 0f) {
        cases++
        if (error > largestError) largestError = error
        when {
            !(error <= TOLERANCE && others <= TOLERANCE) -> different++
            !isEqual -> nearTies++
        }
    }

    internal companion object {
        /**
         * How far a logit may be off, as a share of the range of its case's logits. Int8 kernels
         * round differently from one processor to the next: up to 0.02 was found among runtimes
         * that compute right. A file that is read wrongly is off by 0.5 and more.
         */
        const val TOLERANCE = 0.1f

        /** Of so many cases, one may be a near tie: more are none. */
        const val CASES_PER_NEAR_TIE = 4

        /** What to do about golden cases that do not belong to the file. */
        const val COPY_ALL = "copy the whole folder that the build wrote"

        /** Below it, the file's four decimals are too few to compare. */
        private const val SMALLEST_RANGE = 0.01f

        /** Largest distance of two logits; infinite where one is no number. */
        fun error(expected: FloatArray, found: FloatArray): Float =
            expected.indices
                .maxOf { abs(expected[it] - found[it]) }
                .let { if (it.isNaN()) Float.POSITIVE_INFINITY else it }

        /** From the lowest to the highest; never 0, so that it can divide. */
        fun range(logits: FloatArray): Float = maxOf(logits.max() - logits.min(), SMALLEST_RANGE)
    }
}
