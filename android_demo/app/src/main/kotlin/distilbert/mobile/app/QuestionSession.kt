// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import distilbert.mobile.core.spans.Answer
import distilbert.mobile.core.spans.AnswerModel
import distilbert.mobile.core.spans.AnswerOptions
import distilbert.mobile.core.spans.Passage
import java.util.concurrent.Executor

/** A question, [text], about a passage. */
internal data class Question(val passage: String, val text: String)

/** What the model says to a question, and the [reason] why that is no answer, null if it is one. */
internal class Reply(val answer: Answer, val reason: Message?) {
    /**
     * How much of the model's preference lies on this place in the text, from 0 to 1: the
     * confidence of the answer and of the candidates that overlap it, which are the same answer
     * with a word more or less.
     */
    val weight: Double =
        answer.candidates
            .filter { it.start < answer.end && answer.start < it.end }
            .sumOf { it.confidence }

    /** Whether this place outweighs all others together. */
    val isSure get() = weight >= HALF

    private companion object {
        const val HALF = 0.5
    }
}

/** One screen's question about a passage. */
internal class QuestionSession(models: ModelKeeper<AnswerModel>, worker: Executor, main: Executor) :
    QuerySession<AnswerModel, Question, Reply>(models, worker, main) {
    override fun problem(query: Question): Message? =
        when {
            query.passage.isBlank() -> Message(R.string.no_passage)
            query.text.isBlank() -> Message(R.string.no_question)
            else -> null
        }

    override fun result(model: AnswerModel, query: Question, isCancelled: () -> Boolean): Reply {
        val passage = Passage(query.passage)
        val answer =
            model.answer(
                passage,
                query.text,
                AnswerOptions(candidates = MOST),
                isCancelled,
            )
        val reason = if (answer.isAnswer) null else Message(R.string.no_answer_model)
        return Reply(answer, reason)
    }

    private companion object {
        /** Enough for those that differ by a word; a model considers some hundred. */
        const val MOST = 40
    }
}
