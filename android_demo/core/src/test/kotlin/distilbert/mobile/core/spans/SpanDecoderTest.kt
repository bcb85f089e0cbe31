// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.ModelFiles
import distilbert.mobile.core.WordPieceTokenizer
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test

class SpanDecoderTest {
    private val description = SpanDescription.parse(ModelFiles.DESCRIPTION, verify = false)
    private val tokenizer =
        WordPieceTokenizer.read(description.tokenizer, ModelFiles.VOCABULARY.toByteArray())
    private val passage = "The tower of Rome was built by Anna."
    private val window =
        Windows(
            tokenizer.tokenize("who?"),
            tokenizer.tokenize(passage),
            description.tokenizer.special,
            description.limits,
        ).single()

    private fun answer(start: FloatArray, end: FloatArray, mayAbstain: Boolean = false): String {
        val decoder = SpanDecoder(description.limits, mayAbstain)
        decoder.add(window, start, end)
        val span = decoder.answer()
        assertEquals(span.isAnswer, span.end > 0)
        return passage.substring(span.start, span.end)
    }

    private fun logits(vararg values: Pair<Int, Float>): FloatArray =
        FloatArray(window.ids.size).also { values.forEach { (place, value) -> it[place] = value } }

    @Test
    fun `of equal scores the earliest wins`() {
        assertEquals("The", answer(logits(), logits()))
        val first = window.first
        assertEquals("Rome", answer(logits(first + 3 to 1f, first + 7 to 1f), logits()))
    }

    @Test
    fun `an answer is no longer than the limit and never ends before it starts`() {
        val first = window.first
        assertEquals(
            "tower of Rome was",
            answer(logits(first + 1 to 9f), logits(first + 5 to 9f, first + 4 to 2f, first to 9f)),
        )
    }

    @Test
    fun `logits that are no finite numbers give no answer and no crash`() {
        val first = window.first
        for (bad in listOf(Float.NaN, Float.POSITIVE_INFINITY)) {
            assertEquals("", answer(FloatArray(window.ids.size) { bad }, logits()))
            assertEquals("", answer(logits(first + 2 to bad), logits()))
        }
        val nothing = FloatArray(window.ids.size) { Float.NEGATIVE_INFINITY }
        assertEquals("", answer(nothing, logits()))
        assertEquals("Rome", answer(nothing.copyOf().also { it[first + 3] = 0f }, logits()))
    }

    @Test
    fun `abstains only where it may`() {
        val sure = logits(0 to 5f)
        assertEquals("The", answer(sure, logits()))
        assertEquals("", answer(sure, logits(), mayAbstain = true))
        val decoder = SpanDecoder(description.limits, mayAbstain = true)
        decoder.add(window, sure, logits(0 to 1f))
        assertEquals(6.0, decoder.answer().score, 0.0)
        assertFalse(decoder.answer().isAnswer)
    }

    @Test
    fun `abstains from the threshold on`() {
        // [CLS] has 5, the best span 3: "no answer" wins by 2.
        for ((threshold, expected) in listOf(-9.0 to "", 2.0 to "", 2.001 to "The")) {
            val decoder = SpanDecoder(description.limits, mayAbstain = true, threshold)
            decoder.add(window, logits(0 to 5f, window.first to 3f), logits())
            val found = decoder.answer()
            assertEquals(expected, passage.substring(found.start, found.end))
        }
    }

    @Test
    fun `no window gives no answer`() {
        val span = SpanDecoder(description.limits, mayAbstain = false).answer()
        assertTrue(span.start == 0 && span.end == 0 && span.score == 0.0)
    }
}
