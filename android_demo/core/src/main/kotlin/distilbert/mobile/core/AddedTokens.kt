// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

/**
 * A token that is found whole in a text, as `model.json` says it.
 *
 * @property content its characters.
 * @property id its id, also its line in `vocab.txt`, counted from 0.
 * @property isSpecial whether it means something to the model other than its characters.
 * @property stripsLeft whether it takes the blanks before it along.
 * @property stripsRight whether it takes the blanks after it along.
 * @property isSingleWord whether it is found only where no letter or digit stands beside it.
 * @property isNormalized whether its normalized content is looked for in the normalized text,
 *   instead of its content in the text.
 * @property isWordPiece whether WordPiece knows it as well.
 */
class AddedToken(
    val content: String,
    val id: Int,
    val isSpecial: Boolean,
    val stripsLeft: Boolean,
    val stripsRight: Boolean,
    val isSingleWord: Boolean,
    val isNormalized: Boolean,
    val isWordPiece: Boolean,
) {
    init {
        if (content.isEmpty()) throw ModelException("an added token of model.json is empty")
    }

    internal companion object {
        fun of(json: Json) =
            AddedToken(
                content = json["content"].text(),
                id = json["id"].integer(),
                isSpecial = json["special"].flag(),
                stripsLeft = json["lstrip"].flag(),
                stripsRight = json["rstrip"].flag(),
                isSingleWord = json["single_word"].flag(),
                isNormalized = json["normalized"].flag(),
                isWordPiece = json["word_piece"].flag(),
            )

        /** A special piece as BERT's are found: anywhere, as it is written, without blanks. */
        fun of(special: SpecialPiece) =
            AddedToken(
                content = special.piece,
                id = special.id,
                isSpecial = true,
                stripsLeft = false,
                stripsRight = false,
                isSingleWord = false,
                isNormalized = false,
                isWordPiece = true,
            )
    }
}

/** Parts a text from its added tokens: first those of the text as it is, then the normalized ones. */
internal class AddedTokens(description: TokenizerDescription, private val normalizer: Normalizer) {
    private val exact = TokenTree(description.splitSpecial)
    private val normalized = TokenTree(description.splitSpecial)

    init {
        val listed = description.added.mapTo(HashSet()) { it.content }
        val usual = description.special.all.filter { it.piece !in listed }
        for (token in description.added + usual.map { AddedToken.of(it) }) {
            val content = Aligned.of(token.content)
            if (token.isNormalized) {
                normalized.add(normalizer.normalize(content, 0, content.size), token)
            } else {
                exact.add(content, token)
            }
        }
    }

    /**
     * Calls [onToken] with the id of each token and its range of UTF-16 units, and [onText] with
     * each part between two of them, as a range of a normalized text; both in their order.
     */
    fun split(
        text: Aligned,
        work: Work,
        onText: (Aligned, Int, Int) -> Unit,
        onToken: (Int, Int, Int) -> Unit,
    ) {
        exact.split(text, onToken) { from, to ->
            val part = normalizer.normalize(text, from, to, work)
            normalized.split(part, onToken) { start, end -> onText(part, start, end) }
        }
    }
}

/**
 * Tokens by their code points, one node for each beginning that some of them share.
 *
 * @param splitSpecial whether special tokens are text like any other.
 */
private class TokenTree(private val splitSpecial: Boolean) {
    private class Node(var token: AddedToken? = null) {
        val next = HashMap<Int, Node>()
    }

    private val root = Node()

    fun add(content: Aligned, token: AddedToken) {
        var node = root
        for (index in 0 until content.size) node = node.next.getOrPut(content[index]) { Node() }
        // Nothing is left of a token that normalizing takes away, and nothing of it is found.
        if (node !== root) node.token = token
    }

    /** Finds the leftmost tokens in [text], of several at one place the longest. */
    fun split(text: Aligned, onToken: (Int, Int, Int) -> Unit, onText: (Int, Int) -> Unit) {
        var plain = 0
        var at = 0
        while (at < text.size) {
            val match = longest(text, at)
            val token = match?.token
            if (token == null) {
                at++
                continue
            }
            val isText = splitSpecial && token.isSpecial
            if (!isText && (!token.isSingleWord || isAlone(text, at, match.end))) {
                val start = if (token.stripsLeft) beforeBlanks(text, at, plain) else at
                val end = if (token.stripsRight) afterBlanks(text, match.end) else match.end
                if (plain < start) onText(plain, start)
                onToken(token.id, text.start(start), text.end(end - 1))
                plain = end
            }
            // A token that is no single word, or is text, hides what begins within it all the same.
            at = match.end
        }
        if (plain < text.size) onText(plain, text.size)
    }

    private class Match(val token: AddedToken, val end: Int)

    private fun longest(text: Aligned, from: Int): Match? {
        var found: Match? = null
        var node = root
        for (index in from until text.size) {
            node = node.next[text[index]] ?: break
            node.token?.let { found = Match(it, index + 1) }
        }
        return found
    }

    private fun isAlone(text: Aligned, from: Int, to: Int) =
        (from == 0 || !Characters.isWord(text[from - 1])) &&
            (to == text.size || !Characters.isWord(text[to]))

    /** Where the blanks before [from] begin, at most back to [least]. */
    private fun beforeBlanks(text: Aligned, from: Int, least: Int): Int {
        var start = from
        while (start > least && isBlank(text, start - 1)) start--
        return start
    }

    private fun afterBlanks(text: Aligned, from: Int): Int {
        var end = from
        while (end < text.size && isBlank(text, end)) end++
        return end
    }

    private fun isBlank(text: Aligned, index: Int) =
        Characters.kind(text[index]) and Characters.SPACE != 0
}
