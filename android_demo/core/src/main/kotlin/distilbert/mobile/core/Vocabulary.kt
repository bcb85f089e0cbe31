// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

import java.nio.ByteBuffer

/**
 * The word pieces by their text: [opening] begin a word, [continuing] follow within one. A line of
 * an added token is none of them, unless WordPiece knows the token too.
 *
 * @throws ModelException if the pieces are not those that the description counts and names.
 */
internal class Vocabulary(pieces: List<String>, description: TokenizerDescription) {
    private val opening = HashMap<String, Int>(pieces.size * 2)
    private val continuing = HashMap<String, Int>()

    /** UTF-16 units of the longest piece: no word part beyond it need be looked up. */
    val longest = pieces.maxOfOrNull { it.length } ?: 0

    init {
        if (pieces.size != description.size) {
            throw ModelException(
                "${description.file} has ${pieces.size} word pieces, model.json says " +
                    "${description.size}: copy both from the same build",
            )
        }
        val named = description.special.all.map { it.piece to it.id }
        for ((piece, id) in named + description.added.map { it.content to it.id }) {
            if (pieces.getOrNull(id) != line(piece)) {
                throw ModelException(
                    "${description.file} has no ${line(piece)} with id $id: copy it and " +
                        "model.json from the same build",
                )
            }
        }
        val beyond = description.added.filterNot { it.isWordPiece }.mapTo(HashSet()) { it.id }
        pieces.forEachIndexed { id, piece ->
            if (id in beyond) return@forEachIndexed
            opening[piece] = id
            if (piece.startsWith(description.continuation)) {
                continuing[piece.substring(description.continuation.length)] = id
            }
        }
    }

    /** The line of `vocab.txt` for [piece], which cannot hold a line feed as it is. */
    private fun line(piece: String) = piece.replace("\n", "\\n")

    /** The id of [part], which begins a word or not; null if it is no piece. */
    fun id(part: String, begins: Boolean): Int? = if (begins) opening[part] else continuing[part]

    companion object {
        /**
         * Reads `vocab.txt`, a piece a line, from its [bytes].
         *
         * @throws ModelException if it is not the file that the description names by its digest.
         */
        fun read(
            bytes: ByteArray,
            description: TokenizerDescription,
            verify: Boolean = true,
        ): Vocabulary {
            val pieces = bytes.toString(Charsets.UTF_8).removeSuffix("\n").split('\n')
            val vocabulary = Vocabulary(pieces, description)
            if (verify && ByteBuffer.wrap(bytes).sha256() != description.sha256) {
                throw ModelException(
                    "${description.file} is not the vocabulary that model.json names: copy both " +
                        "from the same build",
                )
            }
            return vocabulary
        }
    }
}
