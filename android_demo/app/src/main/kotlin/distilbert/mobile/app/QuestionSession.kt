// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import distilbert.mobile.core.spans.Answer
import distilbert.mobile.core.spans.AnswerModel
import distilbert.mobile.core.spans.SpanDescription
import java.util.concurrent.Executor

/** A question, [text], about a passage. */
internal data class Question(val passage: String, val text: String)

/** What the model says to a question, and the [reason] why that is no answer, null if it is one. */
internal class Reply(val answer: Answer, val reason: Message?)

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
        val answer = model.answer(query.passage, query.text, isCancelled = isCancelled)
        val reason =
            when {
                answer.isAnswer -> null
                answer.text.isEmpty() -> Message(R.string.no_answer_model)
                else -> Message(R.string.no_answer_score, answer.score, SpanDescription.LEAST_SCORE)
            }
        return Reply(answer, reason)
    }
}
