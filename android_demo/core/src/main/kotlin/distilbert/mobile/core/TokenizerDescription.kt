// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

/**
 * Everything that decides how WordPiece cuts a text, as `model.json` says it.
 *
 * @property size number of word pieces.
 * @property lowerCase whether letters are lower-cased.
 * @property stripAccents whether accents are taken off.
 * @property splitCjk whether each Chinese character is a word.
 * @property cleanText whether control characters are dropped.
 * @property continuation what a piece within a word begins with in the vocabulary.
 * @property maxWordCharacters a longer word is unknown.
 * @property splitSpecial whether WordPiece cuts the names of special tokens in a text, which are
 *   found as tokens otherwise.
 * @property special the special pieces; a text that names one has it.
 * @property added the tokens that are found whole in a text before WordPiece cuts the rest; a
 *   special piece is among them only if it is found in another way than BERT's.
 * @property file the vocabulary's file name.
 * @property sha256 the vocabulary's digest, hexadecimal.
 */
class TokenizerDescription(
    val size: Int,
    val lowerCase: Boolean,
    val stripAccents: Boolean,
    val splitCjk: Boolean,
    val cleanText: Boolean,
    val continuation: String,
    val maxWordCharacters: Int,
    val splitSpecial: Boolean,
    val special: SpecialPieces,
    val added: List<AddedToken>,
    val file: String,
    val sha256: String,
) {
    companion object {
        private const val TYPE = "wordpiece"

        /** Reads the member `tokenizer` of `model.json`. */
        fun of(json: Json): TokenizerDescription {
            val type = json["type"].text()
            if (type != TYPE) {
                throw ModelException(
                    "the tokenizer is \"$type\", this version knows \"$TYPE\"",
                    kind = ErrorKind.UNSUPPORTED,
                )
            }
            return TokenizerDescription(
                size = json["size"].integer(),
                lowerCase = json["lower_case"].flag(),
                stripAccents = json["strip_accents"].flag(),
                splitCjk = json["split_cjk"].flag(),
                cleanText = json["clean_text"].flag(),
                continuation = json["continuation"].text(),
                maxWordCharacters = json["max_word_characters"].integer(),
                splitSpecial = json["split_special"].flag(),
                special = SpecialPieces.of(json["special"]),
                added = json["added"].items().map { AddedToken.of(it) },
                file = json["file"].fileName(),
                sha256 = json["sha256"].text(),
            )
        }
    }
}

/** The five pieces with a meaning of their own. */
class SpecialPieces(
    val pad: SpecialPiece,
    val unknown: SpecialPiece,
    val cls: SpecialPiece,
    val sep: SpecialPiece,
    val mask: SpecialPiece,
) {
    internal val all = listOf(pad, unknown, cls, sep, mask)

    internal companion object {
        fun of(json: Json) =
            SpecialPieces(
                pad = SpecialPiece.of(json["pad"]),
                unknown = SpecialPiece.of(json["unknown"]),
                cls = SpecialPiece.of(json["cls"]),
                sep = SpecialPiece.of(json["sep"]),
                mask = SpecialPiece.of(json["mask"]),
            )
    }
}

/** A special [piece], such as `[CLS]`, and its [id]. */
class SpecialPiece(val piece: String, val id: Int) {
    init {
        if (piece.isEmpty()) throw ModelException("a special piece of model.json is empty")
    }

    internal companion object {
        fun of(json: Json) = SpecialPiece(json["piece"].text(), json["id"].integer())
    }
}
