// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import java.text.BreakIterator
import java.util.Locale

/**
 * The sentence that an answer stands in, or the sentences that it runs through.
 *
 * @property text without spaces around it; a very long one is cut between words.
 * @property start the answer's first UTF-16 unit in [text].
 * @property end the unit past its last.
 */
internal class Excerpt private constructor(val text: String, val start: Int, val end: Int) {
    companion object {
        private const val MOST_BESIDE = 160
        private const val DOTS = "… "

        /** The one around the characters [start, end) of [passage]. */
        fun of(passage: String, start: Int, end: Int): Excerpt {
            val paragraph = paragraph(passage, start, end)
            val sentences = BreakIterator.getSentenceInstance(Locale.ROOT)
            val base = paragraph.first
            sentences.setText(passage.substring(base, paragraph.last + 1))
            val first =
                if (sentences.isBoundary(start - base)) {
                    start
                } else {
                    base + sentences.preceding(start - base)
                }
            val last =
                if (sentences.isBoundary(end - base)) {
                    end
                } else {
                    base +
                        sentences.following(end - base)
                }
            return cut(passage, first, start, end, last)
        }

        /** The lines of the answer: a new line ends a sentence, also in a list without dots. */
        private fun paragraph(passage: String, start: Int, end: Int): IntRange {
            val before = if (start == 0) -1 else passage.lastIndexOf('\n', start - 1)
            val after = passage.indexOf('\n', end).let { if (it < 0) passage.length else it }
            return before + 1 until after
        }

        private fun cut(passage: String, first: Int, start: Int, end: Int, last: Int): Excerpt {
            var from = first
            var to = last
            if (start - first > MOST_BESIDE) {
                from =
                    passage.indexOf(' ', start - MOST_BESIDE).takeIf { it in 0 until start }
                        ?: start
            }
            if (last - end > MOST_BESIDE) {
                to = passage.lastIndexOf(' ', end + MOST_BESIDE).takeIf { it >= end } ?: end
            }
            while (from < start && passage[from].isWhitespace()) from++
            while (to > end && passage[to - 1].isWhitespace()) to--
            val before = if (start - first > MOST_BESIDE) DOTS else ""
            val after = if (last - end > MOST_BESIDE) DOTS.reversed() else ""
            val text = before + passage.substring(from, to) + after
            val shift = before.length - from
            return Excerpt(text, start + shift, end + shift)
        }
    }
}
