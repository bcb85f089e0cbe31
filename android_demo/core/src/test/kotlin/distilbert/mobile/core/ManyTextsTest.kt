// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

import distilbert.mobile.testing.Comparison
import distilbert.mobile.testing.escaped
import org.junit.Assume.assumeTrue
import org.junit.Test
import java.io.File

/** As many texts as `tests/android/test_many_texts.py` draws; it says which by a property. */
class ManyTextsTest {
    @Test
    fun `ids and offsets are those of the tokenizer in training`() {
        val file = File(System.getProperty("many.texts") ?: "none")
        assumeTrue("no texts: -Dmany.texts=FILE names them", file.isFile)
        val document = Json.parse(file.readText())
        val tokenizer =
            WordPieceTokenizer.read(
                TokenizerDescription.of(document["description"]),
                document["vocabulary"].text().toByteArray(),
            )
        val comparison = Comparison("many texts")
        for (case in document["cases"].items()) {
            val (json, ids, offsets) = case.items()
            val text = json.text()
            val pieces = tokenizer.tokenize(text)
            val found = pieces.codePointOffsets(text)
            val isEqual =
                pieces.ids.contentEquals(ids.integers()) && found == offsets.integers().toList()
            comparison.check(isEqual) { "${text.escaped()}: ${pieces.ids.toList()} $found" }
        }
        comparison.finish()
    }
}
