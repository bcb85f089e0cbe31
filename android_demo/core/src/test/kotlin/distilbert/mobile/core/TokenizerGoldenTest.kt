// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

import distilbert.mobile.testing.Comparison
import distilbert.mobile.testing.escaped
import org.junit.Assert.assertTrue
import org.junit.Test

class TokenizerGoldenTest {
    @Test
    fun `ids and offsets are those of the tokenizer in training`() {
        val texts = compare(GoldenFiles.tokenizer, "texts")
        assertTrue("only $texts texts", texts >= 3000)
    }

    @Test
    fun `added tokens are found as in training`() {
        val texts = compare(GoldenFiles.added, "texts with added tokens")
        assertTrue("only $texts texts", texts >= 500)
    }

    /** Compares every tokenizer of [document]; returns the number of texts. */
    private fun compare(document: Json, what: String): Int {
        val texts = document["texts"].items().map { it.text() }
        for (run in document["tokenizers"].items()) {
            val tokenizer =
                GoldenFiles.tokenizer(run["description"], run["vocabulary"].text(), document)
            val comparison = Comparison("$what, ${run["name"].text()}")
            run["pieces"].items().zip(texts) { expected, text ->
                val (ids, offsets) = expected.items().map { it.integers().toList() }
                val pieces = tokenizer.tokenize(text)
                val foundIds = pieces.ids.toList()
                val found = pieces.codePointOffsets(text)
                comparison.check(foundIds == ids && found == offsets) {
                    "${text.escaped()}\n  expected $ids $offsets\n  found $foundIds $found"
                }
            }
            comparison.finish()
        }
        return texts.size
    }
}

/** First and past-the-last code point of each piece, in a row. */
internal fun Pieces.codePointOffsets(text: String): List<Int> =
    (0 until size).flatMap { piece ->
        listOf(starts[piece], ends[piece]).map { text.codePointCount(0, it) }
    }
