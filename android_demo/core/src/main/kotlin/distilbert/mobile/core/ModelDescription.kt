// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

/**
 * What `model.json` says of the exported files beside it.
 *
 * @property default the file that an app should take.
 * @property files by precision.
 * @property signature the name of the model's one signature.
 * @property lengths what lengths the files take.
 * @property limits how a passage is cut and an answer read out.
 * @property mayAbstain whether "no answer" is an answer (SQuAD 2.0).
 * @property tokenizer everything that decides how a text is cut.
 * @property golden the file of golden cases.
 */
class ModelDescription(
    val default: String,
    val files: Map<String, ModelFile>,
    val signature: String,
    val lengths: Lengths,
    val limits: Limits,
    val mayAbstain: Boolean,
    val tokenizer: TokenizerDescription,
    val golden: String,
) {
    companion object {
        /** The one version of `model.json` that this library reads. */
        const val SCHEMA = 1

        /**
         * Reads `model.json`.
         *
         * @throws ModelException if it is not JSON, of another version, or lacks something.
         */
        fun parse(document: String): ModelDescription {
            val json = Json.parse(document)
            requireSchema("model.json", json, SCHEMA)
            return ModelDescription(
                default = json["default"].text(),
                files = json["files"].members().mapValues { (_, file) -> ModelFile.of(file) },
                signature = json["signature"].text(),
                lengths = Lengths.of(json["lengths"]),
                limits = Limits.of(json["limits"]),
                mayAbstain = json["may_abstain"].flag(),
                tokenizer = TokenizerDescription.of(json["tokenizer"]),
                golden = json["golden"].text(),
            )
        }
    }
}

/**
 * One exported file.
 *
 * @property path its name beside `model.json`.
 * @property bytes its size.
 * @property sha256 its digest, hexadecimal.
 * @property purpose what the file is for, in a few words.
 * @property minRuntime the oldest release of each runtime that computes it right.
 */
class ModelFile(
    val path: String,
    val bytes: Long,
    val sha256: String,
    val purpose: String,
    val minRuntime: Map<String, String>,
) {
    internal companion object {
        fun of(json: Json) =
            ModelFile(
                path = json["path"].text(),
                bytes = json["bytes"].number().toLong(),
                sha256 = json["sha256"].text(),
                purpose = json["for"].text(),
                minRuntime = json["min_runtime"].members().mapValues { it.value.text() },
            )
    }
}

/**
 * The lengths that the files take, in word pieces.
 *
 * @property longest the greatest.
 * @property static the only ones, ascending; empty where every length from 1 is taken.
 */
class Lengths(val longest: Int, val static: IntArray) {
    /**
     * The length to pad a window of [length] pieces to.
     *
     * @throws ModelException if the files take none that is long enough.
     */
    fun fitting(length: Int): Int =
        when {
            length > longest -> null
            static.isEmpty() -> length
            else -> static.firstOrNull { it >= length }
        } ?: throw ModelException("a window of $length word pieces; the model takes up to $longest")

    internal companion object {
        fun of(json: Json) =
            Lengths(json["max"].integer(), json["static"].integers().apply { sort() })
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

/** Refuses a document of another version than [supported], with what to do about it. */
internal fun requireSchema(file: String, json: Json, supported: Int) {
    val found = json["schema_version"].integer()
    if (found == supported) return
    val remedy = if (found > supported) "update this app" else "build the model again"
    throw ModelException("$file has schema $found, this version reads $supported: $remedy")
}
