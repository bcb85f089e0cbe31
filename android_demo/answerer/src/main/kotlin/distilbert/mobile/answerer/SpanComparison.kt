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
 * @param model to listen to: the logits of a case's first window are compared. As many windows run at
 *   a time as for questions.
 * @param answererOf the answerer around a model.
 */
internal class SpanComparison(
    private val file: String,
    private val description: SpanDescription,
    private val model: Predictor,
    answererOf: (Predictor) -> Answerer,
) : GoldenComparison<GoldenCase>() {
    private val listener = Listener()
    private val answerer = answererOf(listener)

    override fun add(case: GoldenCase, isCancelled: () -> Boolean) {
        val expected =
            case.answers[file]
                ?: throw ModelException("golden.json has no answers of $file: $COPY_ALL")
        listener.expect(case.ids)
        val answer = answerer.answer(case.passage, case.question, isCancelled = isCancelled)
        val logits = listener.logits
        if (
            logits == null ||
            answer.windowsRead != case.windowCount ||
            expected.logits.start.size != case.ids.size ||
            expected.logits.end.size != case.ids.size
        ) {
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

    /** The model, which keeps the logits of one window; windows may run at the same time. */
    private inner class Listener : Predictor {
        private var ids = IntArray(0)

        /** Of the window that is expected; null until it has run. */
        var logits: Logits? = null
            private set

        override val atOnce get() = model.atOnce

        fun expect(window: IntArray) {
            ids = window
            logits = null
        }

        override fun run(ids: IntArray, mask: IntArray, segmentIds: IntArray): List<FloatArray> {
            val outputs = model.run(ids, mask, segmentIds)
            if (ids.copyOf(mask.sum()).contentEquals(this.ids)) logits = description.logits(outputs)
            return outputs
        }
    }
}
