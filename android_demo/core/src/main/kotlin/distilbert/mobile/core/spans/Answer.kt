// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.TaskResult
import distilbert.mobile.core.Times

/**
 * One of the answers that a model considered.
 *
 * @property text the passage's characters [start, end); empty for "no answer".
 * @property start first UTF-16 unit, as Kotlin's `substring` counts.
 * @property end the unit past the last.
 * @property score start logit plus end logit, on the scale of the search's rule.
 * @property confidence from 0 to 1: the share of this answer in the softmax over the scores of all
 *   answers that the model considered, the same as `probability` of `pipeline.ask`. It says how
 *   much the model prefers this answer to its other ones. Nobody calibrated it as the chance that
 *   the answer is right.
 */
data class Candidate(
    val text: String,
    val start: Int,
    val end: Int,
    val score: Float,
    val confidence: Double,
)

/**
 * What a model answers.
 *
 * @property text the passage's characters [start, end); empty for "no answer".
 * @property start first UTF-16 unit, as Kotlin's `substring` counts.
 * @property end the unit past the last.
 * @property score start logit plus end logit, on the scale of the search's rule.
 * @property windows how many windows the passage was cut into.
 * @property candidates as many as [AnswerOptions.candidates], the best first; the first one is this
 *   answer. Empty only where a test made the answer.
 * @property windowsRead how many of them the model read.
 * @property isComplete false if [AnswerOptions] left out windows that `model.json` says to read.
 */
class Answer(
    val text: String,
    val start: Int,
    val end: Int,
    val score: Float,
    val windows: Int,
    override val tokens: Int,
    override val times: Times,
    val candidates: List<Candidate> = emptyList(),
    val isComplete: Boolean = true,
    val windowsRead: Int = windows,
) : TaskResult {
    /**
     * Whether there is an answer to show. There is none if the question or the passage has no word
     * pieces, and where a model that may abstain decides so. Any other model always names a place,
     * and [confidence] alone says how much the model prefers it.
     */
    val isAnswer: Boolean get() = text.isNotEmpty()

    /** How much the model prefers this answer, from 0 to 1: see [Candidate.confidence]. */
    val confidence: Double get() = candidates.firstOrNull()?.confidence ?: 0.0

    override fun toString() = "\"$text\" [$start, $end), score $score, confidence $confidence"
}
