// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.core.Predictor
import distilbert.mobile.core.WordPieceTokenizer
import distilbert.mobile.core.spans.Answerer
import distilbert.mobile.core.spans.GoldenAnswer
import distilbert.mobile.core.spans.GoldenCase
import distilbert.mobile.core.spans.Logits
import distilbert.mobile.core.spans.SpanDescription
import distilbert.mobile.testing.Builds
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test

/** The gate of the self-test, on logits made up from the golden ones. */
class SpanComparisonTest {
    private val description =
        SpanDescription.parse(Builds.tiny.resolve("model.json").readText())
    private val tokenizer =
        WordPieceTokenizer.read(description.tokenizer, Builds.tiny.resolve("vocab.txt").readBytes())
    private val cases =
        GoldenCase.parse(Builds.tiny.resolve("golden.json").readText()).filter {
            it.windowCount == 1 && it.ids.size > 20
        }

    @Test
    fun `what is equal passes`() {
        val found = compare { it }
        assertTrue(found.isRight)
        assertEquals(0, found.nearTies)
        assertEquals(0f, found.largestError, 0f)
    }

    @Test
    fun `rounding passes and faults do not`() {
        assertTrue(compare { off(it, 0.02f) }.isRight)
        assertTrue(compare { off(it, 0.09f) }.isRight)
        for (share in listOf(0.11f, 0.5f, 100f)) {
            val found = compare { off(it, share) }
            assertFalse("$share", found.isRight)
            assertEquals(cases.size, found.different)
            assertEquals(share, found.largestError, share / 100)
        }
    }

    @Test
    fun `what is no number fails`() {
        for (bad in listOf(Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY)) {
            val found = compare { Logits(it.start, it.end.copyOf().apply { set(3, bad) }) }
            assertEquals(cases.size, found.different)
            assertEquals(Float.POSITIVE_INFINITY, found.largestError, 0f)
        }
    }

    @Test
    fun `another answer of the same score is a near tie, and many are none`() {
        val other = cases.map(::answeredOtherwise)
        val few = compare(cases + cases + other.take(1)) { it }
        assertTrue(few.isRight)
        assertEquals(1, few.nearTies)
        assertEquals(0, few.different)
        assertFalse(compare(cases + other) { it }.isRight)
    }

    private fun answeredOtherwise(case: GoldenCase): GoldenCase {
        val answer =
            with(case.answers.getValue(TinyModel.RIGHT)) {
                GoldenAnswer(text + "!", start, end + 1, score, logits)
            }
        return with(case) {
            GoldenCase(question, passage, windowCount, ids, mapOf(TinyModel.RIGHT to answer))
        }
    }

    /** One logit off by a [share] of the range of all. */
    private fun off(logits: Logits, share: Float): Logits {
        val all = logits.start + logits.end
        val lowest = logits.start.indices.minBy { logits.start[it] }
        val start = logits.start.copyOf()
        start[lowest] -= share * (all.max() - all.min())
        return Logits(start, logits.end)
    }

    private fun compare(
        asked: List<GoldenCase> = cases,
        change: (Logits) -> Logits,
    ): SpanComparison {
        val model =
            Predictor { ids, _, _ ->
                val case = cases.first { it.ids.contentEquals(ids) }
                with(change(case.answers.getValue(TinyModel.RIGHT).logits)) { listOf(start, end) }
            }
        return SpanComparison(TinyModel.RIGHT, description, model) {
            Answerer(description, tokenizer, it)
        }.apply { asked.forEach { case -> add(case) { false } } }
    }
}
