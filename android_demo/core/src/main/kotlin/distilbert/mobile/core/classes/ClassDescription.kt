// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.classes

import distilbert.mobile.core.ErrorKind
import distilbert.mobile.core.Json
import distilbert.mobile.core.ModelDescription
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.readModel
import distilbert.mobile.core.requireOnly

/**
 * What `model.json` says of a model that classifies texts: the general description, and the
 * settings of this task.
 *
 * @property labels the classes in the order of the model's logits; empty for a regression.
 * @property isRegression whether the model has one output, a number.
 * @property isPair whether the model reads two texts.
 * @property maxLength longest input in word pieces, special pieces included.
 */
class ClassDescription private constructor(json: Json) : ModelDescription(json) {
    init {
        if (outputs.map { it.name } != listOf(LOGITS)) {
            throw ModelException(
                "model.json describes the task \"$task\" with the outputs " +
                    "${outputs.joinToString { it.name }}; classifying texts needs $LOGITS: build " +
                    "a model for text classification",
                kind = ErrorKind.UNSUPPORTED,
            )
        }
    }

    val labels: List<String> = json["labels"].items().map { it.text() }
    val isRegression: Boolean = json["regression"].flag()
    val isPair: Boolean = json["pair"].flag()
    val maxLength: Int = json["limits"]["max_length"].integer()

    init {
        requireLabels()
        if (maxLength !in LEAST_LENGTH..lengths.longest) {
            throw ModelException(
                "model.json has inputs of up to $maxLength word pieces: allowed are " +
                    "$LEAST_LENGTH to ${lengths.longest}",
            )
        }
        val truncation = json["truncation"].text()
        if (truncation != TRUNCATION) {
            throw ModelException(
                "model.json has the truncation \"$truncation\", this version knows " +
                    "\"$TRUNCATION\": update this app",
                kind = ErrorKind.UNSUPPORTED,
            )
        }
    }

    private fun requireLabels() {
        if (isRegression != labels.isEmpty() || labels.size == 1) {
            throw ModelException(
                "model.json names ${labels.size} labels: a regression has none, and classes are " +
                    "two at least: build the model again",
            )
        }
        // The length plays no part: a class has one logit.
        val logits = outputs.single().size(1)
        if (logits != maxOf(labels.size, 1)) {
            throw ModelException(
                "model.json has $logits logits for ${labels.size} labels: build the model again",
            )
        }
    }

    companion object {
        /** How `model.json` names this task. */
        const val TASK = "text classification"

        private const val LOGITS = "logits"

        /** The special pieces of a pair, and a piece of each text. */
        private const val LEAST_LENGTH = ClassInput.SPECIAL_PIECES_OF_PAIR + 2
        private const val TRUNCATION = "longest_first"
        private val OWN = listOf("labels", "regression", "pair", "limits", "truncation")

        /**
         * Reads `model.json`.
         *
         * @param verify whether its digest must fit.
         * @throws ModelException if it is not JSON, of another version, damaged, says what no build
         *   writes, or describes a model of another task.
         */
        @JvmStatic
        @JvmOverloads
        fun parse(document: String, verify: Boolean = true): ClassDescription =
            readModel(document, verify, OWN) { json ->
                ClassDescription(json).also { json["limits"].requireOnly(listOf("max_length")) }
            }
    }
}
