// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

/**
 * BERT's tokenizer (Devlin et al. 2019): the same pieces and offsets as the one in training.
 *
 * Safe to use from several threads. An unpaired surrogate counts as a control character.
 *
 * @param description what `model.json` says of the tokenizer.
 */
class WordPieceTokenizer private constructor(
    internal val description: TokenizerDescription,
    private val vocabulary: Vocabulary,
) {
    private val normalizer = Normalizer(description)
    private val added = AddedTokens(description, normalizer)

    /**
     * The word pieces of [text], special ones only where the text names them.
     *
     * @param isCancelled asked every few thousand characters, on the calling thread.
     * @throws java.util.concurrent.CancellationException once [isCancelled] says so.
     */
    @JvmOverloads
    fun tokenize(text: String, isCancelled: () -> Boolean = { false }): Pieces {
        val work = Work(isCancelled)
        val found = Aligned(text.length / UNITS_PER_PIECE)
        val source = Aligned.of(text)
        added.split(
            source,
            work,
            onText = { normalized, from, to -> words(normalized, from, to, found, work) },
            onToken = { id, start, end -> found.add(id, start, end) },
        )
        return found.pieces()
    }

    /** Splits at white space, and around punctuation, what lies between two added tokens. */
    private fun words(normalized: Aligned, from: Int, to: Int, found: Aligned, work: Work) {
        var word = from
        for (index in from until to) {
            work.step()
            val kind = Characters.kind(normalized[index])
            if (kind and (Characters.SPACE or Characters.PUNCTUATION) == 0) continue
            cut(normalized, word, index, found)
            word = index + 1
            if (kind and Characters.PUNCTUATION != 0) cut(normalized, index, word, found)
        }
        cut(normalized, word, to, found)
    }

    /** Cuts the word [from, to) into the longest pieces, from its beginning on. */
    private fun cut(text: Aligned, from: Int, to: Int, found: Aligned) {
        if (from == to) return
        val ids = if (to - from <= description.maxWordCharacters) pieces(text, from, to) else null
        if (ids == null) {
            found.add(description.special.unknown.id, text.start(from), text.end(to - 1))
        } else {
            for (piece in 0 until ids.size) {
                found.add(ids[piece], text.start(ids.start(piece)), text.end(ids.end(piece) - 1))
            }
        }
    }

    /** Ids of a word's pieces with their places in [text]; null if a part of it is none. */
    private fun pieces(text: Aligned, from: Int, to: Int): Aligned? {
        val found = Aligned(to - from)
        var start = from
        while (start < to) {
            var end = minOf(to, start + vocabulary.longest)
            var id: Int? = null
            while (end > start) {
                id = vocabulary.id(text.text(start, end), begins = start == from)
                if (id != null) break
                end--
            }
            found.add(id ?: return null, start, end)
            start = end
        }
        return found
    }

    companion object {
        /** About so many UTF-16 units make a piece; for the first size of a list. */
        private const val UNITS_PER_PIECE = 4

        /**
         * A tokenizer from the bytes of `vocab.txt`.
         *
         * @param verify whether its digest must be the one that the description states.
         * @throws ModelException if it is not the vocabulary that the description names, or the app
         *   lacks the library's character tables.
         */
        @JvmStatic
        @JvmOverloads
        fun read(
            description: TokenizerDescription,
            vocabulary: ByteArray,
            verify: Boolean = true,
        ): WordPieceTokenizer {
            requireTables()
            return WordPieceTokenizer(
                description,
                Vocabulary.read(vocabulary, description, verify),
            )
        }
    }
}
