// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.core.ModelException
import distilbert.mobile.core.Predictor
import distilbert.mobile.core.spans.Answer
import distilbert.mobile.core.spans.Answerer
import distilbert.mobile.core.spans.GoldenAnswer
import distilbert.mobile.core.spans.GoldenCase
import distilbert.mobile.core.spans.Logits
import distilbert.mobile.core.spans.Search
import distilbert.mobile.core.spans.SpanDescription
import kotlin.math.abs

/**
 * Compares golden questions with what is answered here.
 *
 * @param file the golden answers' name of the open file.
 * @param description of the model.
 * @param model to listen to: the logits of a case's first window are compared.
 * @param answererOf the answerer around a model.
 */
internal class SpanComparison(
    private val file: String,
    private val description: SpanDescription,
    private val model: Predictor,
    answererOf: (Predictor) -> Answerer,
) : GoldenComparison<GoldenCase>() {
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

    override fun add(case: GoldenCase, isCancelled: () -> Boolean) {
        val expected =
            case.answers[file]
                ?: throw ModelException("golden.json has no answers of $file: $COPY_ALL")
        first = null
        val answer = answerer.answer(case.passage, case.question, isCancelled = isCancelled)
        val logits = checkNotNull(first) { "a passage has one window at least" }
        val isCutAlike =
            answer.windowsRead == case.windowCount &&
                firstIds.contentEquals(case.ids) &&
                expected.logits.start.size == firstIds.size &&
                expected.logits.end.size == firstIds.size
        if (!isCutAlike) {
            throw ModelException("golden.json was made with another tokenizer: $COPY_ALL")
        }
        val range = range(expected.logits.start + expected.logits.end)
        val startError = error(expected.logits.start, logits.start)
        val error = maxOf(startError, error(expected.logits.end, logits.end)) / range
        val summands = if (description.search.rule == Search.Rule.LOGITS) 2 else 2 * 2
        val scoreError = abs(answer.score - expected.score.toFloat()) / range / summands
        count(error, isEqual(answer, expected), scoreError)
    }

    private fun isEqual(answer: Answer, expected: GoldenAnswer) =
        answer.text == expected.text &&
            answer.start == expected.start &&
            answer.end == expected.end
}
