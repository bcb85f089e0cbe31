// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import distilbert.mobile.core.spans.Answer
import distilbert.mobile.core.spans.AnswerModel
import java.util.concurrent.CancellationException
import java.util.concurrent.Executor

/** What a screen shows of a question. */
internal sealed interface AnswerState {
    /** Nothing is asked. */
    data object Idle : AnswerState

    /** [question] waits for the model, or for its answer. */
    class Asking(val passage: String, val question: String) : AnswerState

    /** The answer lies in [passage]. */
    class Found(val passage: String, val question: String, val answer: Answer) : AnswerState

    /** There is none, for [reason]. */
    class NotFound(
        val passage: String,
        val question: String,
        val answer: Answer,
        val reason: Message,
    ) : AnswerState

    /** The question cannot be answered, for [reason]. */
    class Failed(val reason: Message) : AnswerState
}

/**
 * One screen's question, from asking to its answer. It lives on when the screen is turned; to be
 * called on the main thread.
 *
 * @param worker answers.
 * @param main runs what tells of a new state.
 */
internal class QuestionSession(
    private val models: ModelKeeper,
    private val worker: Executor,
    private val main: Executor,
) {
    private val modelListener: (ModelState) -> Unit = ::onModel
    private var running: Running? = null

    /** The screen, while there is one. */
    var listener: (() -> Unit)? = null

    val model: ModelState get() = models.state

    var state: AnswerState = AnswerState.Idle
        private set(value) {
            field = value
            listener?.invoke()
        }

    init {
        models.acquire(modelListener)
    }

    /** Asks, now or once the model is ready; a former question is taken back. */
    fun ask(passage: String, question: String) {
        cancel()
        when {
            passage.isBlank() -> state = AnswerState.Failed(Message(R.string.no_passage))
            question.isBlank() -> state = AnswerState.Failed(Message(R.string.no_question))
            else -> {
                state = AnswerState.Asking(passage, question)
                start()
            }
        }
    }

    /** Takes the question back, and forgets its answer. */
    fun cancel() {
        running?.isCancelled = true
        running = null
        if (state != AnswerState.Idle) state = AnswerState.Idle
    }

    /** The screen is gone for good. */
    fun close() {
        listener = null
        cancel()
        models.release(modelListener)
    }

    private fun onModel(state: ModelState) {
        if (state is ModelState.Unusable && this.state is AnswerState.Asking) cancel()
        start()
        listener?.invoke()
    }

    private fun start() {
        val asking = state as? AnswerState.Asking ?: return
        val ready = model as? ModelState.Ready ?: return
        if (running == null) {
            running = Running(asking, ready.model).also { worker.execute(it::run) }
        }
    }

    private inner class Running(
        private val asking: AnswerState.Asking,
        private val model: AnswerModel,
    ) {
        @Volatile
        var isCancelled = false

        @Suppress("TooGenericExceptionCaught") // Whatever it is becomes a sentence.
        fun run() {
            try {
                val answer =
                    model.answer(asking.passage, asking.question, isCancelled = { isCancelled })
                tell(read(answer))
            } catch (_: CancellationException) {
                tell(AnswerState.Idle)
            } catch (error: Exception) {
                tell(AnswerState.Failed(Message.of(error, R.string.out_of_memory_answer)))
            } catch (error: OutOfMemoryError) {
                tell(AnswerState.Failed(Message.of(error, R.string.out_of_memory_answer)))
            }
        }

        private fun read(answer: Answer): AnswerState {
            val reason =
                when {
                    answer.text.isEmpty() -> Message(R.string.no_answer_model)
                    model.description.mayAbstain || answer.score >= LEAST_SCORE -> null
                    else -> Message(R.string.no_answer_score, answer.score, LEAST_SCORE)
                }
            val (passage, question) = asking.passage to asking.question
            return if (reason == null) {
                AnswerState.Found(passage, question, answer)
            } else {
                AnswerState.NotFound(passage, question, answer, reason)
            }
        }

        private fun tell(next: AnswerState) =
            main.execute {
                if (running === this) {
                    running = null
                    state = next
                }
            }
    }

    companion object {
        /**
         * The score from which on a guess is an answer, for a model that was not trained to
         * abstain. Of 200 questions of the embedded set, asked about their own passage and about
         * another, guesses below 0 held 1.5 % of all right answers, and 22 % of those about the
         * other passage.
         */
        const val LEAST_SCORE = 0f
    }
}
