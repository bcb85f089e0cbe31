// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

/**
 * A range of the passage.
 *
 * @property start first UTF-16 unit.
 * @property end the unit past the last; [start] for "no answer".
 * @property score start logit plus end logit, on the scale of the search's rule.
 */
class Span(val start: Int, val end: Int, val score: Double) {
    /** Whether the model found an answer. */
    val isAnswer get() = end > start
}

/**
 * Finds the best span over all windows of a passage.
 *
 * In each window the `n_best` highest starts and ends are paired (Devlin et al. 2019, section 4.2):
 * the end not before the start, no longer than the limit. Of equal scores the earliest window, then
 * start, then end wins, as in training. A window with a score that is no finite number is skipped,
 * and a question without word pieces has no answer.
 * All scores are compared in double precision, as the build does it.
 *
 * @param limits `n_best` and `max_answer`.
 * @param mayAbstain answer nothing where [CLS] beats every span in every window (SQuAD 2.0).
 * @param nullThreshold by how much [CLS] has to beat the best span, in logits.
 * @param candidates how many answers to rank.
 * @param rule how scores of different windows are compared.
 */
class SpanDecoder(
    private val limits: Limits,
    private val mayAbstain: Boolean,
    private val nullThreshold: Double = 0.0,
    candidates: Int = 1,
    private val rule: Search.Rule = Search.Rule.LOGITS,
) {
    private val candidates = Candidates(candidates)
    private var best: Span? = null
    private var abstain = Double.POSITIVE_INFINITY

    /** Whether any window so far has had scores that are numbers. */
    val hasNumbers get() = best != null || abstain.isFinite()

    /** Takes the logits of the next window; what is beyond its pieces is padding. */
    fun add(window: Window, startLogits: FloatArray, endLogits: FloatArray) {
        val level = rule.level(window, startLogits, endLogits)
        val nothing = startLogits[0] + endLogits[0] - level
        if (nothing < abstain) abstain = nothing
        if (window.first < window.stop) candidates.openWindow(window.start(window.first))
        if (window.first <= WITHOUT_QUESTION) return
        val span = bestSpan(window, startLogits, endLogits, level) ?: return
        if (span.score > (best?.score ?: Double.NEGATIVE_INFINITY)) best = span
    }

    /** The best span of the windows so far; an empty one at 0 for "no answer". */
    fun answer(): Span {
        val found = best
        val beaten = found == null || mayAbstain && abstain >= found.score + nullThreshold
        if (found != null && !beaten) return found
        return Span(0, 0, if (abstain.isFinite()) abstain else 0.0)
    }

    /**
     * The best answers to a question about [passage], of which the first is [answer]; to be called
     * once, at the end.
     */
    fun candidates(passage: String): List<Candidate> {
        val span = answer()
        // As pipeline.ask has it: a model that may not abstain, and found nothing, is alone.
        if (best == null || !span.isAnswer && !mayAbstain) {
            return listOf(Candidate("", 0, 0, span.score.toFloat(), 1.0))
        }
        return candidates.ranked(passage, abstain.takeIf { mayAbstain }, nullThreshold)
    }

    private fun bestSpan(
        window: Window,
        startLogits: FloatArray,
        endLogits: FloatArray,
        level: Double,
    ): Span? {
        val ends = highest(endLogits, window.first, window.stop)
        var score = Float.NEGATIVE_INFINITY
        var bestStart = -1
        var bestEnd = -1
        val starts = highest(startLogits, window.first, window.stop)
        for (start in starts) {
            for (end in ends) {
                if (!isAllowed(start, end)) continue
                val sum = startLogits[start] + endLogits[end]
                if (sum.isNaN()) return null
                if (sum > score) {
                    score = sum
                    bestStart = start
                    bestEnd = end
                }
            }
        }
        if (!score.isFinite()) return null
        for (start in starts) {
            for (end in ends) {
                if (!isAllowed(start, end)) continue
                val sum = startLogits[start] + endLogits[end]
                candidates.add(window.start(start), window.end(end), sum - level)
            }
        }
        return Span(window.start(bestStart), window.end(bestEnd), score - level)
    }

    private fun isAllowed(start: Int, end: Int) = end >= start && end - start < limits.maxAnswer

    /** Places of the `n_best` largest in [from, to), ascending; of equals the earlier. */
    private fun highest(logits: FloatArray, from: Int, to: Int): IntArray {
        val found = IntArray(minOf(limits.nBest, to - from))
        var count = 0
        for (candidate in from until to) {
            var place = count
            while (place > 0 && isHigher(logits[candidate], logits[found[place - 1]])) place--
            if (place == found.size) continue
            if (count < found.size) count++
            found.copyInto(found, place + 1, place, count - 1)
            found[place] = candidate
        }
        return found.apply { sort() }
    }

    /** Numbers before NaN, which sorts last as in NumPy. */
    private fun isHigher(one: Float, other: Float) = one > other || (other.isNaN() && !one.isNaN())

    private companion object {
        /** The pieces before the passage where the question has none: [CLS] and [SEP]. */
        const val WITHOUT_QUESTION = 2
    }
}
