// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.GoldenFiles
import distilbert.mobile.core.Json
import distilbert.mobile.testing.Comparison
import distilbert.mobile.testing.escaped
import org.junit.Assert.assertTrue
import org.junit.Test

class AnswersGoldenTest {
    private val golden = GoldenFiles.answers
    private val limits = golden["limits"].items().map { Limits.of(it) }
    private val tokenizer = GoldenFiles.tokenizer(golden["tokenizer"], "uncased")
    private val special = tokenizer.description.special

    @Test
    fun `windows and spans are those of Python`() {
        val cases = golden["cases"].items()
        val windowsCompared = Comparison("windows of ${cases.size} questions")
        val spansCompared = Comparison("spans read out")
        for (case in cases) {
            val (question, passage) = listOf("question", "context").map { case[it].text() }
            val asked = "${question.take(60).escaped()} in ${passage.take(60).escaped()}"
            val expected = case["windows"].items()
            val limits = limits[case["limits"].integer()]
            val windows =
                Windows(tokenizer.tokenize(question), tokenizer.tokenize(passage), special, limits)
            windowsCompared.check(windows.size == expected.size) {
                "$asked: ${windows.size} windows instead of ${expected.size}"
            }
            val units = unitsByCodePoint(passage)
            val decoder = SpanDecoder(limits, case["may_abstain"].flag())
            expected.zip(windows) { json, window ->
                windowsCompared.check(isEqual(json, window, units)) { "$asked: a window differs" }
                decoder.add(window, json["start_logits"].floats(), json["end_logits"].floats())
            }
            val span = decoder.answer()
            val answer = case["answer"]
            val text = passage.substring(span.start, span.end)
            val isEqual =
                text == answer["text"].text() &&
                    span.start == units[answer["start"].integer()] &&
                    span.end == units[answer["end"].integer()] &&
                    span.score == answer["score"].number()
            spansCompared.check(isEqual) {
                "$asked: ${text.escaped()} (${span.start} to ${span.end}, ${span.score}) instead " +
                    "of ${answer["text"].text().escaped()} (${answer["score"].number()})"
            }
        }
        windowsCompared.finish()
        spansCompared.finish()
        assertTrue("only ${cases.size} questions", cases.size >= 500)
    }

    private fun isEqual(json: Json, window: Window, units: IntArray): Boolean {
        val places = (window.first until window.stop)
        val offsets = places.flatMap { listOf(window.start(it), window.end(it)) }
        return window.ids.contentEquals(json["ids"].integers()) &&
            window.segmentIds.contentEquals(json["segment_ids"].integers()) &&
            window.first == json["first"].integer() &&
            offsets == json["offsets"].integers().map { units[it] }
    }

    /** The UTF-16 unit at which each code point begins, and the end. */
    private fun unitsByCodePoint(text: String): IntArray {
        val count = text.codePointCount(0, text.length)
        val units = IntArray(count + 1)
        for (point in 0 until count) units[point + 1] = text.offsetByCodePoints(units[point], 1)
        return units
    }
}
