// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.coroutines

import distilbert.mobile.core.ModelException
import distilbert.mobile.core.SelfTest
import distilbert.mobile.core.TaskModel
import distilbert.mobile.core.classes.ClassModel
import distilbert.mobile.core.classes.Classification
import distilbert.mobile.core.spans.Answer
import distilbert.mobile.core.spans.AnswerModel
import distilbert.mobile.core.spans.AnswerOptions
import distilbert.mobile.core.spans.Passage
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.channels.trySendBlocking
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.channelFlow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.isActive
import kotlinx.coroutines.withContext

/**
 * The best answer, computed on [dispatcher]; cancelling the coroutine ends the search after the
 * windows that are running.
 *
 * @param options as in [AnswerModel.answer].
 * @throws ModelException if the model cannot be run, or computes no numbers.
 * @throws IllegalStateException if the model is closed, before or meanwhile.
 */
suspend fun AnswerModel.ask(
    passage: Passage,
    question: String,
    options: AnswerOptions = AnswerOptions(),
    dispatcher: CoroutineDispatcher = Dispatchers.Default,
): Answer = running(dispatcher) { answer(passage, question, options, it) }

/**
 * The answers to several questions about one passage in their order, each as soon as it is there;
 * errors as in [ask].
 */
fun AnswerModel.askAll(
    passage: Passage,
    questions: List<String>,
    options: AnswerOptions = AnswerOptions(),
    dispatcher: CoroutineDispatcher = Dispatchers.Default,
): Flow<Answer> =
    flow {
        for (question in questions) emit(ask(passage, question, options, dispatcher))
    }

/**
 * The class of a text or of a pair, computed on [dispatcher].
 *
 * @param pair as in [ClassModel.classify].
 * @throws ModelException if the model cannot be run, or computes no numbers.
 * @throws IllegalStateException if the model is closed, before or meanwhile.
 */
suspend fun ClassModel.predict(
    text: String,
    pair: String? = null,
    dispatcher: CoroutineDispatcher = Dispatchers.Default,
): Classification = running(dispatcher) { classify(text, pair, null, it) }

/** How far a self-test is; [result] is there at its end. */
class SelfTestStep(val done: Int, val of: Int, val result: SelfTest?)

/**
 * Runs the golden cases on [dispatcher] where it is collected: a step for each case, and one more
 * with the result; errors as in [ask].
 */
fun TaskModel.selfTestSteps(
    dispatcher: CoroutineDispatcher = Dispatchers.Default,
): Flow<SelfTestStep> =
    channelFlow {
        var cases = 0
        val result =
            running(dispatcher) { isCancelled ->
                selfTest(isCancelled) { done, of ->
                    cases = of
                    trySendBlocking(SelfTestStep(done, of, null))
                }
            }
        send(SelfTestStep(cases, cases, result))
    }

/** Does blocking [work] on [dispatcher]; it gets a function that says whether to stop. */
private suspend fun <T> running(
    dispatcher: CoroutineDispatcher,
    work: (isCancelled: () -> Boolean) -> T,
): T =
    withContext(dispatcher) {
        try {
            work { !isActive }
        } catch (error: CancellationException) {
            // Where nobody cancelled the coroutine, somebody closed the model: the coroutine must not
            // end without a trace.
            ensureActive()
            throw IllegalStateException("the model was closed meanwhile", error)
        }
    }
