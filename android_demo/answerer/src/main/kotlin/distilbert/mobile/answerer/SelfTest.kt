// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.core.ModelException
import distilbert.mobile.core.Predictor
import distilbert.mobile.core.spans.Answer
import distilbert.mobile.core.spans.Answerer
import distilbert.mobile.core.spans.GoldenAnswer
import distilbert.mobile.core.spans.GoldenCase
import distilbert.mobile.core.spans.Logits
import distilbert.mobile.core.spans.SpanDescription
import kotlin.math.abs

/**
 * What came of the golden cases on this device.
 *
 * @property cases how many were compared.
 * @property largestError of a logit, as a share of the range of its case's logits.
 * @property nearTies answers that differ because two score alike here.
 * @property problem what differs, on which runtime and processor, and what to ship instead; null
 *   if the test is passed.
 */
class SelfTest internal constructor(
    val cases: Int,
    val largestError: Float,
    val nearTies: Int,
    val problem: String?,
) {
    /** Whether the file may be used on this device. */
    val isPassed get() = problem == null

    internal companion object {
        /**
         * How far a logit may be off, as a share of the range of its case's logits. Int8 kernels
         * round differently from one processor to the next: up to 0.02 was found among runtimes
         * that compute right. A file that is read wrongly is off by 0.5 and more.
         */
        const val TOLERANCE = 0.1f

        /** Of so many cases, one may be a near tie: more are none. */
        const val CASES_PER_NEAR_TIE = 4
    }
}

/**
 * Compares golden cases with what comes out here.
 *
 * @param file the golden answers' name of the open file.
 * @param description of the model.
 * @param model to listen to: the logits of a case's first window are compared.
 * @param answererOf the answerer around a model.
 */
internal class GoldenComparison(
    private val file: String,
    private val description: SpanDescription,
    private val model: Predictor,
    answererOf: (Predictor) -> Answerer,
) {
    private var first: Logits? = null
    private var firstIds = IntArray(0)
    private val answerer =
        answererOf { ids, mask, segmentIds ->
            model.run(ids, mask, segmentIds).also { outputs ->
                if (first == null) {
                    first = description.logits(outputs)
                    firstIds = ids.copyOf(mask.sum())
                }
            }
        }

    private var cases = 0

    /** Cases whose logits or score are not those of the build. */
    var different = 0
        private set

    /** Cases whose score is, and whose answer is another. */
    var nearTies = 0
        private set
    var largestError = 0f
        private set

    /** Whether the file is computed right as far as the cases show it. */
    val isRight get() = different == 0 && nearTies * SelfTest.CASES_PER_NEAR_TIE <= cases

    /**
     * Answers one case.
     *
     * @throws ModelException if the file has no answer in it, or its texts are cut differently.
     */
    fun add(case: GoldenCase, isCancelled: () -> Boolean) {
        val expected =
            case.answers[file]
                ?: throw ModelException("golden.json has no answers of $file: $COPY_ALL")
        first = null
        val answer = answerer.answer(case.passage, case.question, isCancelled = isCancelled)
        val logits = checkNotNull(first) { "a passage has one window at least" }
        val isCutAlike =
            answer.windows == case.windowCount &&
                firstIds.contentEquals(case.ids) &&
                expected.logits.start.size == firstIds.size &&
                expected.logits.end.size == firstIds.size
        if (!isCutAlike) {
            throw ModelException("golden.json was made with another tokenizer: $COPY_ALL")
        }
        cases++
        val range = expected.logits.range()
        val startError = error(expected.logits.start, logits.start)
        val error = maxOf(startError, error(expected.logits.end, logits.end)) / range
        if (error > largestError) largestError = error
        // A score is the sum of two logits.
        val scoreError = abs(answer.score - expected.score.toFloat()) / range / 2
        when {
            !(error <= SelfTest.TOLERANCE && scoreError <= SelfTest.TOLERANCE) -> different++
            !isEqual(answer, expected) -> nearTies++
        }
    }

    private fun isEqual(answer: Answer, expected: GoldenAnswer) =
        answer.text == expected.text &&
            answer.start == expected.start &&
            answer.end == expected.end

    /** Largest distance of two logits; infinite where one is no number. */
    private fun error(expected: FloatArray, found: FloatArray): Float =
        expected.indices
            .maxOf { abs(expected[it] - found[it]) }
            .let { if (it.isNaN()) Float.POSITIVE_INFINITY else it }

    /** From the lowest to the highest; never 0, so that it can divide. */
    private fun Logits.range(): Float {
        val all = start + end
        return maxOf(all.max() - all.min(), SMALLEST_RANGE)
    }

    private companion object {
        const val COPY_ALL = "copy the whole folder that the build wrote"

        /** Below it, the file's four decimals are too few to compare. */
        const val SMALLEST_RANGE = 0.01f
    }
}
