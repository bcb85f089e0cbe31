// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.classes

import distilbert.mobile.core.Pieces
import distilbert.mobile.core.SpecialPieces

/**
 * One input of the model: `[CLS] text [SEP]`, or `[CLS] text [SEP] pair [SEP]`.
 *
 * @property ids word-piece ids.
 * @property segmentIds 0 up to and including the first [SEP], 1 after it.
 */
class ClassInput private constructor(val ids: IntArray, val segmentIds: IntArray) {
    companion object {
        private const val SPECIAL_PIECES = 2

        /** [CLS], and [SEP] after each text. */
        internal const val SPECIAL_PIECES_OF_PAIR = 3

        /**
         * The input of a text or of a pair. What is too long is cut at its end, of a pair the
         * longer text first.
         *
         * @param text the text, or the first of a pair.
         * @param pair the second; null for a single text.
         * @param maxLength in word pieces, special pieces included.
         */
        fun of(text: Pieces, pair: Pieces?, special: SpecialPieces, maxLength: Int): ClassInput {
            val (cls, sep) = special.cls.id to special.sep.id
            if (pair == null) {
                val kept = minOf(text.size, maxLength - SPECIAL_PIECES)
                val ids = intArrayOf(cls, *text.ids.copyOf(kept), sep)
                return ClassInput(ids, IntArray(ids.size))
            }
            val room = maxLength - SPECIAL_PIECES_OF_PAIR
            val (first, second) = kept(text.size, pair.size, room)
            val head = intArrayOf(cls, *text.ids.copyOf(first), sep)
            val ids = intArrayOf(*head, *pair.ids.copyOf(second), sep)
            return ClassInput(ids, IntArray(ids.size) { if (it < head.size) 0 else 1 })
        }

        /**
         * How many pieces of two texts stay, the longer one cut first. Where both are longer than
         * half of the room, each keeps a half, and an odd piece goes to the longer one; of two
         * that are equally long, to the second.
         *
         * @param first pieces of the first text.
         * @param second pieces of the second.
         * @param room for both together.
         */
        internal fun kept(first: Int, second: Int, room: Int): Pair<Int, Int> {
            var short = minOf(first, second)
            if (short > room / 2) short = room / 2
            val long = minOf(maxOf(first, second), room - short)
            return if (first > second) long to short else short to long
        }
    }
}
