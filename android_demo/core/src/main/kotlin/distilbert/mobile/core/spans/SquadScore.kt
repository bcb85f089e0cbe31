// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

/**
 * SQuAD's two figures for one answer (Rajpurkar et al. 2016, section 6.1), from 0 to 1.
 *
 * @property exactMatch 1 where the answer is one of the true ones after normalizing.
 * @property f1 overlap of words with the true answer that fits best.
 */
class SquadScore private constructor(val exactMatch: Double, val f1: Double) {
    companion object {
        /** Scores [answer]; of several [truths] the best counts. */
        fun of(answer: String, truths: List<String>): SquadScore {
            val found = words(answer)
            val wanted = truths.ifEmpty { listOf("") }.map { words(it) }
            return SquadScore(
                exactMatch = if (found in wanted) 1.0 else 0.0,
                f1 = wanted.maxOf { overlap(found, it) },
            )
        }

        private fun overlap(found: List<String>, wanted: List<String>): Double {
            if (found.isEmpty() || wanted.isEmpty()) return if (found == wanted) 1.0 else 0.0
            val left = wanted.groupingBy { it }.eachCount().toMutableMap()
            val common = found.count { (left.merge(it, -1, Int::plus) ?: 0) >= 0 }
            return 2.0 * common / (found.size + wanted.size)
        }

        /** Lower case without punctuation (ASCII's) and articles. */
        private fun words(text: String): List<String> {
            val plain = text.lowercase().filterNot { it in PUNCTUATION }
            return withoutArticles(plain).split { isSpace(it) }
        }

        /**
         * Puts a space for each article that stands as a word: letters and digits on neither side.
         *
         * Not by `\b`: which characters are a word's differs between Java, Android and Python.
         */
        private fun withoutArticles(text: String): String {
            val found = StringBuilder()
            var at = 0
            while (at < text.length) {
                val isWord = isWordCharacter(text.codePointAt(at))
                var end = at
                while (end < text.length && isWordCharacter(text.codePointAt(end)) == isWord) {
                    end += Character.charCount(text.codePointAt(end))
                }
                val run = text.substring(at, end)
                found.append(if (run in ARTICLES) " " else run)
                at = end
            }
            return found.toString()
        }

        private inline fun String.split(isBetween: (Char) -> Boolean): List<String> {
            val found = ArrayList<String>()
            var from = 0
            for (at in 0..length) {
                if (at < length && !isBetween(this[at])) continue
                if (at > from) found.add(substring(from, at))
                from = at + 1
            }
            return found
        }

        private fun isWordCharacter(codePoint: Int) =
            Character.isLetterOrDigit(codePoint) || Character.getType(codePoint) in NUMBERS

        private fun isSpace(unit: Char) = unit.isWhitespace() || unit == NEXT_LINE

        private const val PUNCTUATION = "!\"#\$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
        private const val NEXT_LINE = '\u0085'
        private val ARTICLES = setOf("a", "an", "the")
        private val NUMBERS =
            setOf(Character.LETTER_NUMBER.toInt(), Character.OTHER_NUMBER.toInt())
    }
}
