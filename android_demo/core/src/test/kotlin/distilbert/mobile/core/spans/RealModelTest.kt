// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.LiteRtModel
import distilbert.mobile.core.WordPieceTokenizer
import distilbert.mobile.testing.Builds
import distilbert.mobile.testing.Comparison
import distilbert.mobile.testing.escaped
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Test
import java.io.File
import java.util.zip.GZIPInputStream
import kotlin.math.abs

/** A build's files in LiteRT on this machine: Kotlin's answers must be those of `golden.json`. */
class RealModelTest {
    private val library = File(System.getProperty("litert.library") ?: "")

    @Test
    fun `answers and logits are those of the tiny build`() = compare(Builds.tiny)

    @Test
    fun `answers and logits are those of the build`() {
        assumeNothing(Builds.missingReal)
        compare(Builds.real)
    }

    @Test
    fun `answers to 500 questions are those of the build`() {
        assumeNothing(Builds.missingReal)
        val path = File(Builds.real.parentFile, "golden-answers.json.gz")
        val missing = "no $path: python -m pipeline.golden_answers FILE writes it"
        assumeNothing(missing.takeIf { !path.isFile })
        val document = GZIPInputStream(path.inputStream()).use { it.readBytes() }
        val cases = GoldenCase.parse(document.toString(Charsets.UTF_8))
        assertTrue("only ${cases.size} questions", cases.size >= 500)
        compare(Builds.real, cases)
    }

    private fun compare(folder: File, asked: List<GoldenCase>? = null) {
        val missing = "no $library: LiteRT's Python wheel brings it, make model installs it"
        assumeNothing(missing.takeIf { !library.isFile })
        val description = SpanDescription.parse(File(folder, "model.json").readText())
        val vocabulary = File(folder, description.tokenizer.file).readBytes()
        val tokenizer = WordPieceTokenizer.read(description.tokenizer, vocabulary)
        val cases = asked ?: GoldenCase.parse(File(folder, description.golden).readText())
        for (file in description.files.values.filter { it.path in cases[0].answers }) {
            LiteRtModel(library, File(folder, file.path), description).use { model ->
                val most = description.search.maxWindows
                compare(file.path, Answerer(description, tokenizer, model), cases, most)
            }
        }
    }

    private fun compare(file: String, answerer: Answerer, cases: List<GoldenCase>, most: Int?) {
        val comparison = Comparison("questions, $file")
        var error = 0f
        var tokenizing = 0.0
        var inference = 0.0
        var decoding = 0.0
        for (case in cases) {
            val expected = case.answers.getValue(file)
            val all = answerer.windows(case.passage, case.question)
            val windows = all.shortlist(most).map { all[it] }
            assertEquals(case.windowCount, windows.size)
            assertEquals(case.ids.toList(), windows[0].ids.toList())
            val logits = answerer.logits(windows[0])
            error = maxOf(error, distance(logits.start, expected.logits.start))
            error = maxOf(error, distance(logits.end, expected.logits.end))
            val answer = answerer.answer(case.passage, case.question)
            tokenizing += answer.times.tokenizing
            inference += answer.times.inference
            decoding += answer.times.decoding
            val found = listOf(answer.text, answer.start, answer.end)
            val isEqual = found == listOf(expected.text, expected.start, expected.end)
            comparison.check(isEqual && abs(answer.score - expected.score) < TOLERANCE) {
                "${case.question}: $found ${answer.score}, expected ${expected.text.escaped()} " +
                    "${expected.start} ${expected.end} ${expected.score}"
            }
        }
        println(
            "  largest logit error %.1e; ms: %.1f tokenizing, %.1f inference, %.1f decoding".format(
                error,
                tokenizing,
                inference,
                decoding,
            ),
        )
        comparison.finish()
        assertEquals(0f, error, TOLERANCE)
    }

    private fun distance(one: FloatArray, other: FloatArray): Float {
        assertEquals(one.size, other.size)
        return one.indices.maxOfOrNull { abs(one[it] - other[it]) } ?: 0f
    }

    private fun assumeNothing(missing: String?) {
        missing?.let { println("skipped: $it") }
        assumeTrue(missing, missing == null)
    }

    private companion object {
        // golden.json rounds to four decimals; the same library computes the rest alike.
        const val TOLERANCE = 1e-4f
    }
}
