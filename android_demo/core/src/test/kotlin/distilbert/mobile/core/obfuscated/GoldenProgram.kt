// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.obfuscated

import distilbert.mobile.core.Json
import distilbert.mobile.core.Predictor
import distilbert.mobile.core.TokenizerDescription
import distilbert.mobile.core.WordPieceTokenizer
import distilbert.mobile.core.spans.Answerer
import distilbert.mobile.core.spans.GoldenCase
import distilbert.mobile.core.spans.SpanDescription
import java.io.File
import java.util.function.Function
import java.util.zip.GZIPInputStream

/**
 * Runs golden cases. [ObfuscatedTest] lets R8 obfuscate this class together with the library, and
 * calls it through the one interface that both of them know.
 */
class GoldenProgram : Function<File, IntArray> {
    /**
     * Runs the cases in a [folder], which is `tests/contract`.
     *
     * @return how many texts were tokenized, how many of them differ, how many questions were
     *   answered, and how many of those differ.
     */
    override fun apply(folder: File): IntArray = tokenize(folder) + answer(folder.resolve("tiny"))

    private fun tokenize(folder: File): IntArray {
        val file = folder.resolve("tokenizer.json.gz")
        val bytes = GZIPInputStream(file.inputStream()).use { it.readBytes() }
        val document = Json.parse(bytes.toString(Charsets.UTF_8))
        val texts = document["texts"].items().map { it.text() }
        var compared = 0
        var different = 0
        for (run in document["tokenizers"].items()) {
            val pieces = document["vocabularies"][run["vocabulary"].text()].items()
            val vocabulary = pieces.joinToString("") { "${it.text()}\n" }.toByteArray()
            val description = TokenizerDescription.of(run["description"])
            val tokenizer = WordPieceTokenizer.read(description, vocabulary)
            run["pieces"].items().zip(texts) { expected, text ->
                compared++
                val ids = expected.items().first().integers()
                if (!tokenizer.tokenize(text).ids.contentEquals(ids)) different++
            }
        }
        return intArrayOf(compared, different)
    }

    /** Answers the questions of one window, with the logits that the build computed. */
    private fun answer(folder: File): IntArray {
        val description = SpanDescription.parse(folder.resolve("model.json").readText())
        val tokenizer =
            WordPieceTokenizer.read(description.tokenizer, folder.resolve("vocab.txt").readBytes())
        val cases = GoldenCase.parse(folder.resolve("golden.json").readText())
        var compared = 0
        var different = 0
        for (case in cases.filter { it.windowCount == 1 }) {
            val expected = case.answers.getValue(description.default)
            val model =
                Predictor { ids, _, _ ->
                    check(ids.contentEquals(case.ids)) { "another window than in the build" }
                    listOf(expected.logits.start, expected.logits.end)
                }
            val answer = Answerer(description, tokenizer, model).answer(case.passage, case.question)
            compared++
            if (answer.text != expected.text || answer.start != expected.start) different++
        }
        return intArrayOf(compared, different)
    }
}
