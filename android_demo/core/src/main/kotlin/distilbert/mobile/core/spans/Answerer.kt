// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.ErrorKind
import distilbert.mobile.core.LapTimer
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.Predictor
import distilbert.mobile.core.Times
import distilbert.mobile.core.WordPieceTokenizer
import distilbert.mobile.core.runPadded
import java.util.concurrent.CancellationException
import java.util.concurrent.TimeUnit

/** How much each piece looks like the [start] and the [end] of the answer. */
class Logits(val start: FloatArray, val end: FloatArray)

/**
 * A model with everything around it: question and passage in, answer out.
 *
 * Windows are made, run and forgotten one by one, or as many at a time as the model runs: memory does
 * not grow with the passage's windows, and the answer is the same.
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
     * @param isCancelled asked while the texts are tokenized and before each window begins, on the
     *   calling thread.
     * @throws CancellationException once [isCancelled] says so.
     * @throws ModelException if the model cannot be run, or computes no numbers in any window.
     */
    fun answer(
        passage: String,
        question: String,
        padTo: Int? = null,
        isCancelled: () -> Boolean = { false },
    ): Answer = answer(Passage(passage), question, AnswerOptions(padTo), isCancelled)

    /**
     * The best answer as far as [options] let the search go; the rest as above.
     *
     * @param passage may be asked about again: its word pieces are kept.
     */
    fun answer(
        passage: Passage,
        question: String,
        options: AnswerOptions,
        isCancelled: () -> Boolean = { false },
    ): Answer {
        val begun = System.nanoTime()
        val timer = LapTimer()
        val windows = windows(passage, question, isCancelled)
        val wanted = description.search.maxWindows
        val read = windows.shortlist(options.maxWindows ?: wanted)
        val tokenizing = timer.takeLap()
        var tokens = 0
        var done = 0
        var inference = 0.0
        var decoding = 0.0
        val decoder =
            SpanDecoder(
                description.limits,
                description.mayAbstain,
                description.nullThreshold,
                options.candidates,
                description.search.rule,
            )
        var begunWindows = 0
        val inTime =
            read.asSequence().takeWhile {
                if (isCancelled()) throw CancellationException("the question was taken back")
                begunWindows++ == 0 || !isLate(begun, options)
            }
        forEach(inTime.map { windows[it] }, read.size, options.padTo) { window, logits ->
            tokens += window.ids.size
            inference += timer.takeLap()
            decoder.add(window, logits.start, logits.end)
            decoding += timer.takeLap()
            done++
        }
        if (!decoder.hasNumbers) {
            throw ModelException(
                "the model computes logits that are no numbers: run its self-test",
                kind = ErrorKind.RUNTIME,
            )
        }
        val span = decoder.answer()
        val text = passage.text.substring(span.start, span.end)
        val candidates = decoder.candidates(passage.text)
        return Answer(
            text = text,
            start = span.start,
            end = span.end,
            score = span.score.toFloat(),
            windows = windows.size,
            tokens = tokens,
            times = Times(tokenizing, inference, decoding + timer.takeLap()),
            candidates = candidates,
            isComplete = done >= minOf(windows.size, wanted ?: windows.size),
            windowsRead = done,
        )
    }

    /**
     * Runs windows and gives the logits of each to [add], in order.
     *
     * @param windows each is taken when it begins, on the calling thread.
     * @param most of them.
     */
    private fun forEach(
        windows: Sequence<Window>,
        most: Int,
        padTo: Int?,
        add: (Window, Logits) -> Unit,
    ) {
        val atOnce = minOf(model.atOnce, most)
        if (atOnce > 1) {
            WindowsAtOnce(atOnce) { logits(it, padTo) }.forEach(windows, add)
        } else {
            windows.forEach { add(it, logits(it, padTo)) }
        }
    }

    private fun isLate(begun: Long, options: AnswerOptions) =
        TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begun) >= options.maxMilliseconds

    /** All windows that a passage is cut into. */
    fun windows(passage: String, question: String): Windows =
        windows(Passage(passage), question) { false }

    private fun windows(passage: Passage, question: String, isCancelled: () -> Boolean) =
        Windows(
            tokenizer.tokenize(question, isCancelled),
            passage.pieces(tokenizer, isCancelled),
            description.tokenizer.special,
            description.limits,
        )

    /** The logits of a window, without those of its padding; [padTo] as in [answer]. */
    fun logits(window: Window, padTo: Int? = null): Logits =
        description.logits(model.runPadded(description, window.ids, window.segmentIds, padTo))
}
