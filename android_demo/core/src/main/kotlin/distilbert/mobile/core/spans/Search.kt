// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.ErrorKind
import distilbert.mobile.core.Json
import distilbert.mobile.core.ModelException
import kotlin.math.exp
import kotlin.math.ln

/**
 * How the windows of a passage are searched for an answer, as `model.json` says it.
 *
 * @property rule how scores of different windows are compared.
 * @property maxWindows read only the windows that have most in common with the question; null reads
 *   all.
 */
class Search(val rule: Rule = Rule.LOGITS, val maxWindows: Int? = null) {
    /**
     * How scores of different windows are compared. Within one window all three prefer the same
     * span.
     *
     * @property word as `model.json` writes it.
     */
    enum class Rule(val word: String) {
        /** Start logit plus end logit, as in BERT's recipe. */
        LOGITS("logits"),

        /**
         * The same less, for start and end, the logarithm of the sum of exp over [CLS] and the
         * window's passage pieces.
         */
        LOG_PROBABILITY("log-probability"),

        /** The same less the two logits of [CLS]. */
        LOG_ODDS("log-odds"),
        ;

        /** What the scores of [window] are reduced by, in double precision as the build does it. */
        internal fun level(window: Window, start: FloatArray, end: FloatArray): Double =
            when (this) {
                LOGITS -> 0.0
                LOG_PROBABILITY -> logSumExp(start, window) + logSumExp(end, window)
                LOG_ODDS -> start[0].toDouble() + end[0].toDouble()
            }
    }

    internal companion object {
        private const val MOST_WINDOWS = 1 shl 16

        /** Reads the member `search` of `model.json`; the default where it is missing. */
        fun of(json: Json?): Search {
            if (json == null) return Search()
            val word = json["rule"].text()
            val rule =
                Rule.entries.find { it.word == word } ?: throw ModelException(
                    "model.json compares windows by \"$word\", this version knows " +
                        "${Rule.entries.joinToString { it.word }}: update this app",
                    kind = ErrorKind.UNSUPPORTED,
                )
            val most = json.optional("max_windows")?.integer()
            if (most != null && most !in 1..MOST_WINDOWS) {
                throw ModelException("search.max_windows: $most is not from 1 to $MOST_WINDOWS")
            }
            return Search(rule, most)
        }
    }
}

/** Of the logits of [CLS] and of the passage pieces of a window; 0 where one is infinite or NaN. */
private fun logSumExp(logits: FloatArray, window: Window): Double {
    var highest = logits[0].toDouble()
    for (place in window.first until window.stop) {
        highest = maxOf(highest, logits[place].toDouble()) // NaN if either is
    }
    if (!highest.isFinite()) return 0.0
    var sum = exp(logits[0] - highest)
    for (place in window.first until window.stop) sum += exp(logits[place] - highest)
    return highest + ln(sum)
}

/**
 * The places of the windows that have most in common with their question, ascending.
 *
 * BM25 over word pieces: the windows are the documents, and the question's distinct pieces the
 * query. Of equal windows the earlier ones are kept.
 *
 * @param most how many to keep; null keeps all.
 */
internal fun Windows.shortlist(most: Int?): List<Int> {
    if (most == null || size <= most) return indices.toList()
    val scores = bm25(question.distinct().toIntArray(), this)
    return indices.sortedByDescending { scores[it] }.take(most).sorted()
}

// BM25's usual constants: how soon more of a piece stops counting, and how much a longer window is
// discounted (Robertson and Zaragoza 2009, section 3).
private const val SATURATION = 1.2
private const val LENGTH_SHARE = 0.75
private const val HALF = 0.5

/**
 * BM25 of each window for a query of distinct ids, added up in the order of the query.
 *
 * A piece that stands in every window weighs next to nothing: this takes the place of a list of
 * stop words, in every language.
 */
private fun bm25(query: IntArray, windows: List<Window>): DoubleArray {
    val places = query.indices.associateBy { query[it] }
    val lengths = IntArray(windows.size)
    val counts =
        windows.mapIndexed { number, window ->
            lengths[number] = window.stop - window.first
            IntArray(query.size).also { count ->
                for (place in window.first until window.stop) {
                    places[window.ids[place]]?.let { count[it]++ }
                }
            }
        }
    val mean = lengths.sumOf { it.toLong() }.toDouble() / windows.size
    val holding = IntArray(query.size) { piece -> counts.count { it[piece] > 0 } }
    return DoubleArray(windows.size) { number ->
        val norm =
            if (mean == 0.0) 1.0 else 1.0 - LENGTH_SHARE + LENGTH_SHARE * lengths[number] / mean
        var score = 0.0
        for (piece in query.indices) {
            val found = holding[piece]
            val often = counts[number][piece]
            val rarity = ln(1.0 + (windows.size - found + HALF) / (found + HALF))
            score += rarity * often * (SATURATION + 1.0) / (often + SATURATION * norm)
        }
        score
    }
}
