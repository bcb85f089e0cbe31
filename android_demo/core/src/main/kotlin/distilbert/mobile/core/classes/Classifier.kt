// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.classes

import distilbert.mobile.core.ErrorKind
import distilbert.mobile.core.LapTimer
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.Predictor
import distilbert.mobile.core.TaskResult
import distilbert.mobile.core.Times
import distilbert.mobile.core.WordPieceTokenizer
import distilbert.mobile.core.runPadded
import java.util.concurrent.CancellationException
import kotlin.math.exp

/** A class and its [probability], from 0 to 1. */
class Score(val label: String, val probability: Double)

/**
 * What a model says of a text or of a pair of texts.
 *
 * @property label the most probable class, of equals the first; empty for a regression.
 * @property probability of that class, from 0 to 1; 0 for a regression.
 * @property scores all classes, the most probable first; they add up to 1. Empty for a regression.
 * @property value the number that a regression predicts; else 0.
 */
class Classification(
    val label: String,
    val probability: Double,
    val scores: List<Score>,
    val value: Double,
    override val tokens: Int,
    override val times: Times,
) : TaskResult

/**
 * A model with everything around it: a text or a pair in, a class or a number out.
 *
 * @param description what `model.json` says.
 * @param tokenizer of the same `model.json`.
 * @param model computes the logits of one input.
 */
class Classifier(
    private val description: ClassDescription,
    private val tokenizer: WordPieceTokenizer,
    private val model: Predictor,
) {
    /**
     * The class of a text or of a pair.
     *
     * @param text of any length; what is beyond the model's longest input is cut off.
     * @param pair the second text; null for a model of single texts.
     * @param padTo pad the input to so many word pieces; null pads to the next that is taken.
     * @param isCancelled asked while texts are tokenized and before the model runs.
     * @throws CancellationException once [isCancelled] says so.
     * @throws ModelException if the model cannot be run, or computes no numbers.
     * @throws IllegalArgumentException if the model reads pairs and there is one text, or the
     *   opposite.
     */
    fun classify(
        text: String,
        pair: String? = null,
        padTo: Int? = null,
        isCancelled: () -> Boolean = { false },
    ): Classification {
        val timer = LapTimer()
        val input = input(text, pair, isCancelled)
        val tokenizing = timer.takeLap()
        if (isCancelled()) throw CancellationException("the text was taken back")
        val logits = logits(input, padTo)
        val inference = timer.takeLap()
        val scores = scores(logits)
        val decoding = timer.takeLap()
        return Classification(
            label = scores.firstOrNull()?.label.orEmpty(),
            probability = scores.firstOrNull()?.probability ?: 0.0,
            scores = scores,
            value = if (description.isRegression) logits[0].toDouble() else 0.0,
            tokens = input.ids.size,
            times = Times(tokenizing, inference, decoding),
        )
    }

    /** The model's input for a text or a pair; arguments and errors as in [classify]. */
    fun input(text: String, pair: String?, isCancelled: () -> Boolean = { false }): ClassInput {
        require((pair != null) == description.isPair) {
            if (description.isPair) "this model reads two texts" else "this model reads one text"
        }
        return ClassInput.of(
            tokenizer.tokenize(text, isCancelled),
            pair?.let { tokenizer.tokenize(it, isCancelled) },
            description.tokenizer.special,
            description.maxLength,
        )
    }

    /** The logits of an input, one a class; [padTo] as in [classify]. */
    fun logits(input: ClassInput, padTo: Int? = null): FloatArray =
        model.runPadded(description, input.ids, input.segmentIds, padTo).single()

    private fun scores(logits: FloatArray): List<Score> {
        if (!logits.all { it.isFinite() }) {
            throw ModelException(
                "the model computes logits that are no numbers: run its self-test",
                kind = ErrorKind.RUNTIME,
            )
        }
        // Sorting is stable: of equals the first stays first.
        return description.labels
            .zip(probabilities(logits)) { label, share -> Score(label, share) }
            .sortedByDescending { it.probability }
    }

    internal companion object {
        /** The softmax of finite logits, in double precision as the build computes it. */
        fun probabilities(logits: FloatArray): List<Double> {
            val highest = logits.max()
            val powers = logits.map { exp(it.toDouble() - highest) }
            val sum = powers.sum()
            return powers.map { it / sum }
        }
    }
}
