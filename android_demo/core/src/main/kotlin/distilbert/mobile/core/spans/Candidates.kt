// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import kotlin.math.exp

/**
 * Ranks the spans of all windows of a passage, each one once, and shares a softmax among them.
 *
 * Windows overlap, and a span that lies in several has its highest score. A span that no later
 * window can contain is only counted, so that memory does not grow with the passage.
 *
 * @param count how many of the best to keep.
 */
internal class Candidates(private val count: Int) {
    /** [order] decides between equal scores: the earlier span is better. */
    class Ranked(val start: Int, val end: Int, val score: Double, val order: Int)

    private val open = LinkedHashMap<Long, Ranked>()
    private val best = ArrayList<Ranked>()
    private var order = 0
    private var highest = Double.NEGATIVE_INFINITY
    private var sum = 0.0

    /** From here on, spans begin at [start] or later. */
    fun openWindow(start: Int) {
        val iterator = open.values.iterator()
        while (iterator.hasNext()) {
            val span = iterator.next()
            if (span.start >= start) continue
            count(span)
            iterator.remove()
        }
    }

    /** A span [start, end) of the present window. */
    fun add(start: Int, end: Int, score: Double) {
        val key = start.toLong() shl Int.SIZE_BITS or end.toLong()
        val known = open[key]?.score ?: Double.NEGATIVE_INFINITY
        if (score > known) open[key] = Ranked(start, end, score, order++)
    }

    /**
     * The best spans of [passage], at least one; to be called once.
     *
     * @param nothing the score of "no answer"; null where it is no candidate.
     * @param threshold by how much "no answer" has to beat a span.
     */
    fun ranked(passage: String, nothing: Double?, threshold: Double): List<Candidate> {
        open.values.forEach(::count)
        open.clear()
        if (nothing != null) share(nothing - threshold)
        val listed =
            best.mapTo(ArrayList()) {
                val text = passage.substring(it.start, it.end)
                Candidate(text, it.start, it.end, it.score.toFloat(), confidence(it.score))
            }
        if (nothing != null) {
            val place = best.indexOfFirst { nothing >= it.score + threshold }
            val confidence = confidence(nothing - threshold)
            listed.add(
                if (place < 0) listed.size else place,
                Candidate("", 0, 0, nothing.toFloat(), confidence),
            )
        }
        return listed.take(count)
    }

    private fun count(span: Ranked) {
        share(span.score)
        val place = best.binarySearch(span, BETTER_FIRST).let { if (it < 0) -it - 1 else it }
        if (place >= count) return
        best.add(place, span)
        if (best.size > count) best.removeAt(count)
    }

    /** Adds exp([score]) to the sum, which is kept relative to the highest score. */
    private fun share(score: Double) {
        if (score == Double.NEGATIVE_INFINITY) return
        if (score > highest) {
            sum *= exp(highest - score)
            highest = score
        }
        sum += exp(score - highest)
    }

    private fun confidence(score: Double): Double =
        if (sum == 0.0) 0.0 else exp(score - highest) / sum

    private companion object {
        val BETTER_FIRST = compareByDescending<Ranked> { it.score }.thenBy { it.order }
    }
}
