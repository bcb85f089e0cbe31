// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.Pieces
import distilbert.mobile.core.WordPieceTokenizer

/**
 * A text to ask about, as often as one likes: its word pieces are kept from the first question on.
 *
 * Safe to use from several threads. It keeps 12 bytes for each word piece.
 *
 * @property text the characters that answers are parts of.
 */
class Passage(val text: String) {
    private class Cut(val tokenizer: WordPieceTokenizer, val pieces: Pieces)

    @Volatile
    private var cut: Cut? = null

    /** The word pieces of the text; of another model's tokenizer they are cut anew. */
    internal fun pieces(tokenizer: WordPieceTokenizer, isCancelled: () -> Boolean): Pieces {
        cut?.let { if (it.tokenizer === tokenizer) return it.pieces }
        val pieces = tokenizer.tokenize(text, isCancelled)
        cut = Cut(tokenizer, pieces)
        return pieces
    }
}

/**
 * How a question is answered.
 *
 * @property padTo pad every window to so many word pieces; null pads to the next length that the
 *   model takes.
 * @property candidates how many answers to list, the best first.
 * @property maxWindows read no more windows of the passage than that: those that have most in common
 *   with the question. Null reads as many as `model.json` says, which is all unless it has a
 *   `search`.
 * @property maxMilliseconds begin no window later than that after the question was asked; the first
 *   window always runs.
 * @throws IllegalArgumentException if a number is below 1.
 */
class AnswerOptions
    @JvmOverloads
    constructor(
        val padTo: Int? = null,
        val candidates: Int = 1,
        val maxWindows: Int? = null,
        val maxMilliseconds: Long = Long.MAX_VALUE,
    ) {
        init {
            val most = maxWindows ?: 1
            require(candidates > 0 && most > 0 && maxMilliseconds > 0) {
                "$candidates candidates, $most windows, $maxMilliseconds ms: each must be at least 1"
            }
        }
    }
