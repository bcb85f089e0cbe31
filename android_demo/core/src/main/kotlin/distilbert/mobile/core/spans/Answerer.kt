// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.LapTimer
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.Predictor
import distilbert.mobile.core.TaskResult
import distilbert.mobile.core.Times
import distilbert.mobile.core.WordPieceTokenizer
import distilbert.mobile.core.runPadded
import java.util.concurrent.CancellationException

/** How much each piece looks like the [start] and the [end] of the answer. */
class Logits(val start: FloatArray, val end: FloatArray)

/**
 * What a model answers.
 *
 * @property text the passage's characters [start, end); empty for "no answer".
 * @property start first UTF-16 unit, as Kotlin's `substring` counts.
 * @property end the unit past the last.
 * @property score start logit plus end logit.
 * @property windows how many windows the passage was cut into.
 */
class Answer(
    val text: String,
    val start: Int,
    val end: Int,
    val score: Float,
    val windows: Int,
    override val tokens: Int,
    override val times: Times,
) : TaskResult

/**
 * A model with everything around it: question and passage in, answer out.
 *
 * Windows are made, run and forgotten one by one: memory does not grow with the passage's windows.
 *
 * @param description what `model.json` says.
 * @param tokenizer of the same `model.json`.
 * @param model computes the logits of one window.
 */
class Answerer(
    private val description: SpanDescription,
    private val tokenizer: WordPieceTokenizer,
    private val model: Predictor,
) {
    /**
     * The best answer over all windows of the passage.
     *
     * @param padTo pad every window to so many word pieces; null pads to the next that is taken.
     * @param isCancelled asked before each window.
     * @throws CancellationException once [isCancelled] says so.
     * @throws ModelException if the model cannot be run.
     */
    fun answer(
        passage: String,
        question: String,
        padTo: Int? = null,
        isCancelled: () -> Boolean = { false },
    ): Answer {
        val timer = LapTimer()
        val windows = windows(passage, question)
        val tokenizing = timer.takeLap()
        var tokens = 0
        var inference = 0.0
        var decoding = 0.0
        val decoder =
            SpanDecoder(description.limits, description.mayAbstain, description.nullThreshold)
        for (window in windows) {
            if (isCancelled()) throw CancellationException("the question was taken back")
            val logits = logits(window, padTo)
            tokens += window.ids.size
            inference += timer.takeLap()
            decoder.add(window, logits.start, logits.end)
            decoding += timer.takeLap()
        }
        val span = decoder.answer()
        val text = passage.substring(span.start, span.end)
        val times = Times(tokenizing, inference, decoding + timer.takeLap())
        return Answer(text, span.start, span.end, span.score, windows.size, tokens, times)
    }

    /** The windows that a passage is cut into. */
    fun windows(passage: String, question: String): Windows =
        Windows(
            tokenizer.tokenize(question),
            tokenizer.tokenize(passage),
            description.tokenizer.special,
            description.limits,
        )

    /** The logits of a window, without those of its padding; [padTo] as in [answer]. */
    fun logits(window: Window, padTo: Int? = null): Logits =
        description.logits(model.runPadded(description, window.ids, window.segmentIds, padTo))
}
