// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.classes

import distilbert.mobile.core.LiteRtModel
import distilbert.mobile.core.WordPieceTokenizer
import distilbert.mobile.testing.Builds
import distilbert.mobile.testing.Comparison
import org.junit.Assume.assumeTrue
import org.junit.Test
import java.io.File
import kotlin.math.abs

/** A tiny build's files in LiteRT on this machine: classes must be those of `golden.json`. */
class TinyClassesTest {
    private val library = File(System.getProperty("litert.library") ?: "")

    @Test
    fun `classes and logits are those of the tiny build`() {
        val missing = "no $library: LiteRT's Python wheel brings it, make model installs it"
        if (!library.isFile) println("skipped: $missing")
        assumeTrue(missing, library.isFile)
        val folder = Builds.tinyClasses
        val description = ClassDescription.parse(folder.resolve("model.json").readText())
        val vocabulary = folder.resolve(description.tokenizer.file).readBytes()
        val tokenizer = WordPieceTokenizer.read(description.tokenizer, vocabulary)
        val cases = GoldenText.parse(folder.resolve(description.golden).readText())
        for (file in description.files.values) {
            LiteRtModel(library, folder.resolve(file.path), description).use { model ->
                val comparison = Comparison("texts, ${file.path}")
                val classifier = Classifier(description, tokenizer, model)
                for (case in cases) {
                    val expected = case.predictions.getValue(file.path)
                    val input = classifier.input(case.text, case.pair)
                    val logits = classifier.logits(input)
                    val error = logits.indices.maxOf { abs(logits[it] - expected.logits[it]) }
                    val found = classifier.classify(case.text, case.pair)
                    val isEqual =
                        input.ids.contentEquals(case.ids) &&
                            found.label == expected.label &&
                            abs(found.probability - expected.probability) < TOLERANCE
                    comparison.check(isEqual && error < TOLERANCE) {
                        "${case.text}: ${found.label} ${found.probability}, logits off by $error"
                    }
                }
                comparison.finish()
            }
        }
    }

    private companion object {
        // golden.json rounds to four decimals; the same library computes the rest alike.
        const val TOLERANCE = 1e-4f
    }
}
