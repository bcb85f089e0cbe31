// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

import java.util.concurrent.CancellationException

/** A model that scores one window; the runtime behind it is the platform's. */
fun interface WindowModel {
    /**
     * Runs the model once.
     *
     * @param ids word-piece ids.
     * @param mask 1 for pieces, 0 for padding.
     * @param segmentIds 0 for the question, 1 for the passage.
     * @return logits, as many as ids.
     */
    fun run(ids: IntArray, mask: IntArray, segmentIds: IntArray): Logits
}

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
 * @property tokens word pieces of all windows, special ones included, padding not.
 * @property times what it took.
 */
class Answer(
    val text: String,
    val start: Int,
    val end: Int,
    val score: Float,
    val windows: Int,
    val tokens: Int,
    val times: Times,
)

/** Milliseconds spent on cutting texts into windows, in the model, and on reading answers out. */
class Times(val tokenizing: Double, val inference: Double, val decoding: Double)

/**
 * A model with everything around it: question and passage in, answer out.
 *
 * Windows are made, run and forgotten one by one: memory does not grow with the passage's windows.
 *
 * @param description what `model.json` says.
 * @param tokenizer of the same `model.json`.
 * @param model gives the logits of one window.
 */
class Answerer(
    private val description: ModelDescription,
    private val tokenizer: WordPieceTokenizer,
    private val model: WindowModel,
) {
    /**
     * The best answer over all windows of the passage.
     *
     * @param padTo pad every window to so many word pieces; null pads to the next that is taken.
     * @param isCancelled asked before each window.
     * @throws CancellationException once [isCancelled] says so.
     */
    fun answer(
        passage: String,
        question: String,
        padTo: Int? = null,
        isCancelled: () -> Boolean = { false },
    ): Answer {
        val clock = Clock()
        val windows = windows(passage, question)
        val tokenizing = clock.takeLap()
        var tokens = 0
        var inference = 0.0
        var decoding = 0.0
        val decoder = SpanDecoder(description.limits, description.mayAbstain)
        for (window in windows) {
            if (isCancelled()) throw CancellationException("the question was taken back")
            val logits = logits(window, padTo)
            tokens += window.ids.size
            inference += clock.takeLap()
            decoder.add(window, logits.start, logits.end)
            decoding += clock.takeLap()
        }
        val span = decoder.answer()
        val text = passage.substring(span.start, span.end)
        val times = Times(tokenizing, inference, decoding + clock.takeLap())
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
    fun logits(window: Window, padTo: Int? = null): Logits {
        val length = window.ids.size
        val padded = description.lengths.fitting(maxOf(length, padTo ?: 0))
        val ids = window.ids.copyOf(padded)
        ids.fill(description.tokenizer.special.pad.id, length, padded)
        val mask = IntArray(padded) { if (it < length) 1 else 0 }
        val logits = model.run(ids, mask, window.segmentIds.copyOf(padded))
        return Logits(logits.start.copyOf(length), logits.end.copyOf(length))
    }
}

private class Clock {
    private var last = System.nanoTime()

    /** Milliseconds since the last lap, or since the clock was made. */
    fun takeLap(): Double {
        val now = System.nanoTime()
        val lap = (now - last) / NANOSECONDS
        last = now
        return lap
    }

    private companion object {
        const val NANOSECONDS = 1e6
    }
}
