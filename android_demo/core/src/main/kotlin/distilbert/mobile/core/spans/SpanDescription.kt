// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.ErrorKind
import distilbert.mobile.core.Json
import distilbert.mobile.core.ModelDescription
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.readModel

/**
 * What `model.json` says of a model that answers questions: the general description, and the
 * settings of this task.
 *
 * @property limits how a passage is cut and an answer read out.
 * @property mayAbstain whether "no answer" is an answer (SQuAD 2.0).
 * @property nullThreshold by how much "no answer" has to beat the best answer, in logits; 0 in
 *   files that were built without one.
 * @property search which windows of a passage are read, and how their scores compare.
 */
class SpanDescription private constructor(json: Json) : ModelDescription(json) {
    // First: a model of another task lacks the rest as well.
    private val start = placeOf(START_LOGITS)
    private val end = placeOf(END_LOGITS)

    val limits: Limits = Limits.of(json["limits"])
    val mayAbstain: Boolean = json["may_abstain"].flag()
    val nullThreshold: Double = json.optional("null_threshold")?.number() ?: 0.0
    val search: Search = Search.of(json.optional("search"))

    /** The start and end logits among a model's [outputs], which come in the file's order. */
    fun logits(outputs: List<FloatArray>) = Logits(outputs[start], outputs[end])

    private fun placeOf(output: String): Int {
        val place = outputs.indexOfFirst { it.name == output }
        if (place >= 0) return place
        throw ModelException(
            "model.json describes the task \"$task\" with the outputs " +
                "${outputs.joinToString { it.name }}; answering questions needs $START_LOGITS " +
                "and $END_LOGITS: build a model for question answering",
            kind = ErrorKind.UNSUPPORTED,
        )
    }

    companion object {
        private const val START_LOGITS = "start_logits"
        private const val END_LOGITS = "end_logits"
        private val OWN = listOf("limits", "may_abstain", "null_threshold", "search")

        /**
         * Reads `model.json`.
         *
         * @param verify whether its digest must fit.
         * @throws ModelException if it is not JSON, of another version, damaged, says what no build
         *   writes, or describes a model of another task.
         */
        @JvmStatic
        @JvmOverloads
        fun parse(document: String, verify: Boolean = true): SpanDescription =
            readModel(document, verify, OWN) { json ->
                SpanDescription(json).also { requireSpans(json) }
            }
    }
}

/**
 * How a passage is cut and an answer read out; counted in word pieces.
 *
 * @property maxLength longest window, special pieces included.
 * @property stride distance between the starts of two windows.
 * @property maxQuery the question is cut to this many.
 * @property maxAnswer longest answer.
 * @property nBest how many starts and how many ends are considered.
 * @throws ModelException if a passage piece could fall between two windows.
 */
class Limits(
    val maxLength: Int = 384,
    val stride: Int = 128,
    val maxQuery: Int = 64,
    val maxAnswer: Int = 30,
    val nBest: Int = 20,
) {
    init {
        val room = maxLength - maxQuery - SPECIAL_PIECES
        if (maxQuery < 0 || maxAnswer < 1 || nBest < 1 || stride !in 1..room) {
            throw ModelException(
                "the limits do not fit: stride $stride with length $maxLength and questions of " +
                    "up to $maxQuery (allowed are 1 to $room), answers of up to $maxAnswer, " +
                    "n_best $nBest",
            )
        }
    }

    internal companion object {
        /** [CLS], and [SEP] after the question and after the passage. */
        const val SPECIAL_PIECES = 3

        fun of(json: Json) =
            Limits(
                maxLength = json["max_length"].integer(),
                stride = json["stride"].integer(),
                maxQuery = json["max_query"].integer(),
                maxAnswer = json["max_answer"].integer(),
                nBest = json["n_best"].integer(),
            )
    }
}
