// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.GoldenFiles
import distilbert.mobile.core.Json
import distilbert.mobile.core.ModelException
import distilbert.mobile.testing.Comparison
import distilbert.mobile.testing.escaped
import org.junit.Assert.assertTrue
import org.junit.Test
import kotlin.math.abs

/** Which windows are read, and what is answered: as Python does it, under every rule. */
class SearchGoldenTest {
    private val golden = GoldenFiles.search
    private val limits = golden["limits"].items().map { Limits.of(it) }
    private val tokenizer = GoldenFiles.tokenizer(golden["tokenizer"], "uncased")
    private val special = tokenizer.description.special

    @Test
    fun `long passages are searched as in Python`() {
        val cases = golden["cases"].items()
        val readCompared = Comparison("windows read of ${cases.size} passages")
        val answersCompared = Comparison("answers and candidates")
        for (case in cases) {
            val (question, passage) = listOf("question", "context").map { case[it].text() }
            val asked = "${question.take(60).escaped()} in ${passage.take(60).escaped()}"
            val search = Search.of(case["search"])
            val limits = limits[case["limits"].integer()]
            val windows =
                Windows(tokenizer.tokenize(question), tokenizer.tokenize(passage), special, limits)
            val read = windows.shortlist(search.maxWindows)
            val expected = case["read"].integers().toList()
            readCompared.check(
                windows.size == case["window_count"].integer() && read == expected,
            ) { "$asked: $read of ${windows.size} instead of $expected" }
            val decoder =
                SpanDecoder(
                    limits,
                    case["may_abstain"].flag(),
                    case["null_threshold"].number(),
                    SHOWN,
                    search.rule,
                )
            expected.zip(case["logits"].items()) { place, json ->
                val (start, end) = json.items().map(::logits)
                decoder.add(windows[place], start, end)
            }
            val span = decoder.answer()
            answersCompared.check(
                span.isAnswer == (case["answer"]["end"].integer() > 0) &&
                    isEqual(case["answer"], passage, span.start, span.end, span.score) &&
                    case.optional("candidates").let { it == null || isEqual(it, passage, decoder) },
            ) { "$asked, ${search.rule}: ${span.start} to ${span.end}, ${span.score}" }
        }
        readCompared.finish()
        answersCompared.finish()
        assertTrue("only ${cases.size} passages", cases.size >= 300)
    }

    private fun isEqual(expected: Json, passage: String, decoder: SpanDecoder): Boolean {
        val found = decoder.candidates(passage)
        val candidates = expected.items()
        return found.size == candidates.size &&
            candidates.zip(found).all { (json, one) ->
                isEqual(json, passage, one.start, one.end, one.score.toDouble(), FLOAT) &&
                    abs(json["probability"].number() - one.confidence) < EQUAL
            }
    }

    private fun isEqual(
        json: Json,
        passage: String,
        start: Int,
        end: Int,
        score: Double,
        tolerance: Double = EQUAL,
    ): Boolean {
        val expected = number(json["score"])
        return start == passage.offsetByCodePoints(0, json["start"].integer()) &&
            end == passage.offsetByCodePoints(0, json["end"].integer()) &&
            // An infinite score has no distance.
            (expected == score || abs(expected - score) < tolerance)
    }

    private fun logits(json: Json): FloatArray {
        val numbers = json.items()
        return FloatArray(numbers.size) { number(numbers[it]).toFloat() }
    }

    /** A number, or one of those that JSON has not, by its name in Python. */
    private fun number(json: Json): Double =
        try {
            json.number()
        } catch (_: ModelException) {
            STRANGE.getValue(json.text())
        }

    private companion object {
        const val SHOWN = 4

        /** Libraries of exp and log differ in the last digits. */
        const val EQUAL = 1e-9
        const val FLOAT = 1e-5
        val STRANGE =
            mapOf(
                "nan" to Double.NaN,
                "inf" to Double.POSITIVE_INFINITY,
                "-inf" to Double.NEGATIVE_INFINITY,
            )
    }
}
