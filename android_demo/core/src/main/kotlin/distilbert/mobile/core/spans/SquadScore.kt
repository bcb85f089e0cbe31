// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

/**
 * SQuAD's two figures for one answer (Rajpurkar et al. 2016, section 6.1), from 0 to 1.
 *
 * @property exactMatch 1 where the answer is one of the true ones after normalizing.
 * @property f1 overlap of tokens with the true answer that fits best.
 */
class SquadScore private constructor(val exactMatch: Double, val f1: Double) {
    companion object {
        /** Scores [answer] by the [rules] of its language; of several [truths] the best counts. */
        fun of(
            answer: String,
            truths: List<String>,
            rules: ScoringRules = ScoringRules.ENGLISH,
        ): SquadScore {
            val found = rules.words(answer)
            val wanted = truths.ifEmpty { listOf("") }.map { rules.words(it) }
            return SquadScore(
                exactMatch = if (found in wanted) 1.0 else 0.0,
                f1 = wanted.maxOf { overlap(rules.tokens(found), rules.tokens(it)) },
            )
        }

        private fun overlap(found: List<String>, wanted: List<String>): Double {
            if (found.isEmpty() || wanted.isEmpty()) return if (found == wanted) 1.0 else 0.0
            val left = wanted.groupingBy { it }.eachCount().toMutableMap()
            val common = found.count { (left.merge(it, -1, Int::plus) ?: 0) >= 0 }
            return 2.0 * common / (found.size + wanted.size)
        }
    }
}
