// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.Json
import distilbert.mobile.core.ModelException

/**
 * How answers of one language are made comparable, as that language's benchmark does.
 *
 * `questions.json` says it, so that the phone has no table of languages that could lag behind.
 *
 * @property articles words that do not count.
 * @property elided articles that an apostrophe joins to the next word, such as `l` in French.
 * @property anywhere a part of words that does not count wherever it stands; may be empty.
 * @property isUnicode whether all of Unicode's punctuation is removed, or that of ASCII alone.
 * @property tokens what F1 counts.
 */
class ScoringRules(
    val articles: Set<String> = emptySet(),
    val elided: Set<String> = emptySet(),
    val anywhere: String = "",
    val isUnicode: Boolean = true,
    val tokens: Tokens = Tokens.WORDS,
) {
    /** What F1 counts: see [ScoringRules.tokens]. */
    enum class Tokens {
        /** The words between spaces. */
        WORDS,

        /** Each character of a script without spaces, and the words between them. */
        MIXED,

        /** Each character, for F1 alone. */
        CHARACTERS,
    }

    /** The words of [text] that exact match compares. */
    internal fun words(text: String): List<String> {
        var plain = text.lowercase()
        if (tokens == Tokens.CHARACTERS) {
            plain = QUOTES.fold(plain) { text, quote -> text.replace(quote, ' ') }
        }
        if (elided.isNotEmpty()) plain = withoutElided(plain)
        plain = plain.withoutCodePoints(::isPunctuation)
        if (articles.isNotEmpty()) plain = plain.mapRuns { if (it in articles) " " else it }
        if (anywhere.isNotEmpty()) plain = plain.replace(anywhere, " ")
        if (tokens == Tokens.MIXED) plain = spaced(plain)
        return plain.words()
    }

    /** The tokens of words that F1 counts. */
    internal fun tokens(words: List<String>): List<String> {
        if (tokens != Tokens.CHARACTERS) return words
        return words.flatMap { word ->
            word.codePoints().toArray().map { String(Character.toChars(it)) }
        }
    }

    private fun isPunctuation(codePoint: Int): Boolean =
        codePoint < ASCII && codePoint.toChar() in PUNCTUATION ||
            isUnicode && Character.getType(codePoint) in PUNCTUATION_TYPES

    /** Puts a space for each elided article with its apostrophe. */
    private fun withoutElided(text: String): String {
        val found = StringBuilder()
        var skips = false
        text.forEachRun { run, end ->
            val isElided = run in elided && end < text.length && text[end] in APOSTROPHES
            // The apostrophe is the first character of the run that follows.
            val kept = if (skips) run.substring(1) else run
            found.append(if (isElided) " " else kept)
            skips = isElided
        }
        return found.toString()
    }

    companion object {
        /** SQuAD's rules (Rajpurkar et al. 2016). */
        val ENGLISH = ScoringRules(articles = setOf("a", "an", "the"), isUnicode = false)

        /**
         * Reads the rules in `questions.json`.
         *
         * @throws ModelException if one is missing, or is none that this version knows.
         */
        internal fun of(json: Json): ScoringRules =
            ScoringRules(
                articles = json["articles"].items().map { it.text() }.toSet(),
                elided = json["elided"].items().map { it.text() }.toSet(),
                anywhere = json["anywhere"].text(),
                isUnicode = choice(json["punctuation"], listOf("ascii", "unicode")) == 1,
                tokens =
                    Tokens.values()[
                        choice(json["tokens"], Tokens.values().map { it.name.lowercase() }),
                    ],
            )

        private fun choice(json: Json, known: List<String>): Int {
            val place = known.indexOf(json.text())
            if (place < 0) {
                throw ModelException(
                    "questions.json scores by \"${json.text()}\", this version knows " +
                        "${known.joinToString(" and ")}: update the library",
                )
            }
            return place
        }

        /** A space on both sides of each character of a script without spaces. */
        private fun spaced(text: String): String {
            val found = StringBuilder()
            text.codePoints().forEach { point ->
                if (UNSPACED.any { point in it }) {
                    found.append(' ').appendCodePoint(point).append(' ')
                } else {
                    found.appendCodePoint(point)
                }
            }
            return found.toString()
        }

        private const val ASCII = 0x80
        private const val PUNCTUATION = "!\"#\$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
        private const val APOSTROPHES = "'\u2019"

        /** What KorQuAD's script replaces by a space before anything else. */
        private const val QUOTES = "'\"\u300a\u300b<>\u3008\u3009()\u2018\u2019"
        private val PUNCTUATION_TYPES =
            listOf(
                Character.CONNECTOR_PUNCTUATION,
                Character.DASH_PUNCTUATION,
                Character.START_PUNCTUATION,
                Character.END_PUNCTUATION,
                Character.INITIAL_QUOTE_PUNCTUATION,
                Character.FINAL_QUOTE_PUNCTUATION,
                Character.OTHER_PUNCTUATION,
            ).map { it.toInt() }.toSet()

        /** Thai, Lao, Burmese, Khmer, kana, and the Chinese characters of every plane. */
        private val UNSPACED =
            listOf(
                0x0e00..0x0eff,
                0x1000..0x109f,
                0x1780..0x17ff,
                0x3005..0x3007,
                0x3040..0x30ff,
                0x31f0..0x31ff,
                0x3400..0x4dbf,
                0x4e00..0x9fff,
                0xf900..0xfaff,
                0xff66..0xff9f,
                0x20000..0x3ffff,
            )
    }
}
