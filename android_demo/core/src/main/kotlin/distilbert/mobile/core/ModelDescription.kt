// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

/**
 * What `model.json` says of the exported files beside it, whatever their task. A task's own
 * description extends this one by the settings that it reads from the same document.
 *
 * @param json the document.
 * @property task what the model does, in words.
 * @property default the file that an app should take.
 * @property files by precision.
 * @property signature the name of the model's one signature.
 * @property inputs of the signature, in the file's order.
 * @property outputs of the signature, in the file's order.
 * @property lengths what lengths the files take.
 * @property tokenizer everything that decides how a text is cut.
 * @property golden the file of golden cases.
 * @throws ModelException if the document is of another version or lacks something.
 */
open class ModelDescription protected constructor(json: Json) {
    init {
        requireModelSchema(json)
        val isSearched = "search" in json.members()
        if (isSearched != (json["schema_version"].integer() == SEARCH_SCHEMA)) {
            throw ModelException(
                "schema_version is $SEARCH_SCHEMA where there is a search, and only there: build " +
                    "the model again",
            )
        }
    }

    val task: String = json["task"].text()
    val default: String = json["default"].text()
    val files: Map<String, ModelFile> =
        json["files"].members().mapValues { (_, file) -> ModelFile.of(file) }
    val signature: String = json["signature"].text()
    val inputs: List<TensorDescription> = json["inputs"].items().map { TensorDescription.of(it) }
    val outputs: List<TensorDescription> = json["outputs"].items().map { TensorDescription.of(it) }
    val lengths: Lengths = Lengths.of(json["lengths"])
    val tokenizer: TokenizerDescription = TokenizerDescription.of(json["tokenizer"])
    val golden: String = json["golden"].fileName()

    init {
        val names = inputs.map { it.name }
        if (names.toSet() != Predictor.INPUTS.toSet()) {
            throw ModelException(
                "model.json has the inputs ${names.joinToString()}, this version gives " +
                    "${Predictor.INPUTS.joinToString()}: build the model again",
                kind = ErrorKind.UNSUPPORTED,
            )
        }
    }

    companion object {
        /** The version of `model.json` that this library reads. */
        const val SCHEMA = 3

        /** The version of a `model.json` with a `search`, which older libraries would ignore. */
        const val SEARCH_SCHEMA = 4

        /**
         * Reads the general part of `model.json`.
         *
         * @param verify whether its digest must fit.
         * @throws ModelException if it is not JSON, of another version, damaged, or says what no
         *   build writes.
         */
        @JvmStatic
        @JvmOverloads
        fun parse(document: String, verify: Boolean = true): ModelDescription =
            readModel(document, verify, null) { ModelDescription(it) }
    }
}

/**
 * One input or output of a model's signature.
 *
 * @property name in the signature.
 * @property shape its dimensions, the batch first; one after it that is -1 is the number of word
 *   pieces.
 */
class TensorDescription(val name: String, val shape: IntArray) {
    /** The number of values for one input of [length] word pieces. */
    fun size(length: Int): Int =
        shape.drop(BATCH).fold(1) { size, side -> size * if (side < 0) length else side }

    internal companion object {
        private const val BATCH = 1

        fun of(json: Json) = TensorDescription(json["name"].text(), json["shape"].integers())
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
                path = json["path"].fileName(),
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
 * @property default the longest input that the build made of a text.
 * @property longest the greatest.
 * @property static the only ones, ascending; empty where every length from 1 is taken.
 */
class Lengths(val default: Int, val longest: Int, val static: IntArray) {
    /**
     * The length to pad an input of [length] pieces to.
     *
     * @throws ModelException if the files take none that is long enough.
     */
    fun fitting(length: Int): Int =
        when {
            length > longest -> null
            static.isEmpty() -> length
            else -> static.firstOrNull { it >= length }
        } ?: throw ModelException("an input of $length word pieces; the model takes up to $longest")

    internal companion object {
        fun of(json: Json) =
            Lengths(
                default = json["default"].integer(),
                longest = json["max"].integer(),
                static = json["static"].integers().apply { sort() },
            )
    }
}

/** Reads a `model.json`; [own] are the members that the task adds, null where it is unknown. */
internal fun <D : ModelDescription> readModel(
    document: String,
    verify: Boolean,
    own: Collection<String>?,
    of: (Json) -> D,
): D =
    readingFile("model.json") {
        val json = Json.parse(document)
        requireModelSchema(json)
        if (verify) json.requireSeal("model.json")
        of(json).also { requireModel(json, own) }
    }

private fun requireModelSchema(json: Json) =
    requireSchema("model.json", json, ModelDescription.SCHEMA, ModelDescription.SEARCH_SCHEMA)

/** Refuses a document of another version than [supported], with what to do about it. */
internal fun requireSchema(file: String, json: Json, vararg supported: Int) {
    val found = json["schema_version"].integer()
    if (found in supported) return
    val remedy = if (found > supported.max()) "update this app" else "build the model again"
    throw ModelException(
        "$file has schema $found, this version reads ${supported.joinToString(" and ")}: $remedy",
        kind = ErrorKind.UNSUPPORTED,
    )
}

/**
 * The cases of a `golden.json` of the version [schema], each read by [of]; one at least.
 *
 * @param verify whether the document's digest must fit.
 */
internal fun <T> goldenCases(
    document: String,
    schema: Int,
    verify: Boolean,
    of: (Json) -> T,
): List<T> =
    readingFile("golden.json") {
        val json = Json.parse(document)
        requireSchema("golden.json", json, schema)
        if (verify) json.requireSeal("golden.json")
        json.requireOnly(listOf("schema_version", "offsets", "logits", "cases", DIGEST))
        json["cases"].items().map(of).ifEmpty {
            throw ModelException("golden.json has no cases: build the model again")
        }
    }
