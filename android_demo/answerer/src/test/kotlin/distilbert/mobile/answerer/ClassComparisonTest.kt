// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.core.Predictor
import distilbert.mobile.core.WordPieceTokenizer
import distilbert.mobile.core.classes.ClassDescription
import distilbert.mobile.core.classes.Classifier
import distilbert.mobile.core.classes.GoldenPrediction
import distilbert.mobile.core.classes.GoldenText
import distilbert.mobile.testing.Builds
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File

/** The gate of a classifier's self-test, on logits made up from the golden ones. */
class ClassComparisonTest {
    private val classes = Gate(Builds.tinyClasses)
    private val number = Gate(Builds.tinyNumber)

    @Test
    fun `what is equal passes`() {
        for (gate in listOf(classes, number)) {
            val found = gate.compare { it }
            assertTrue(found.isRight)
            assertEquals(0, found.nearTies)
            assertEquals(0f, found.largestError, 0f)
        }
    }

    @Test
    fun `rounding passes and faults do not`() {
        for (gate in listOf(classes, number)) {
            assertEquals(0, gate.compare { off(it, 0.09f * gate.range) }.different)
            for (share in listOf(0.11f, 0.5f, 100f)) {
                val found = gate.compare { off(it, share * gate.range) }
                assertFalse("$share", found.isRight)
                assertEquals(gate.cases.size, found.different)
                assertEquals(share, found.largestError, share / 100)
            }
        }
    }

    @Test
    fun `what is no number fails`() {
        for (bad in listOf(Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY)) {
            for (gate in listOf(classes, number)) {
                val found = gate.compare { logits -> logits.copyOf().also { it[0] = bad } }
                assertEquals(gate.cases.size, found.different)
                assertEquals(Float.POSITIVE_INFINITY, found.largestError, 0f)
            }
        }
    }

    @Test
    fun `another class of the same logits is a near tie, and many are none`() {
        val other = classes.cases.map(::labeledOtherwise)
        val few = classes.compare(classes.cases + other.take(1)) { it }
        assertTrue(few.isRight)
        assertEquals(1, few.nearTies)
        assertEquals(0, few.different)
        assertFalse(classes.compare(classes.cases + other) { it }.isRight)
    }

    private fun labeledOtherwise(case: GoldenText): GoldenText {
        val prediction =
            with(case.predictions.getValue(TinyModel.RIGHT)) {
                GoldenPrediction("$label!", probability, value, logits)
            }
        return with(case) {
            GoldenText(text, pair, ids, mapOf(TinyModel.RIGHT to prediction))
        }
    }

    private fun off(logits: FloatArray, by: Float): FloatArray {
        val lowest = logits.indices.minBy { logits[it] }
        return logits.copyOf().also { it[lowest] -= by }
    }

    /** The comparison of a tiny build's golden cases. */
    private class Gate(folder: File) {
        private val description =
            ClassDescription.parse(folder.resolve("model.json").readText())
        private val tokenizer =
            WordPieceTokenizer.read(
                description.tokenizer,
                folder.resolve("vocab.txt").readBytes(),
            )
        val cases = GoldenText.parse(folder.resolve("golden.json").readText())
        private val logits =
            cases.flatMap {
                it.predictions
                    .getValue(TinyModel.RIGHT)
                    .logits
                    .asList()
            }
        val range = logits.max() - logits.min()

        fun compare(
            asked: List<GoldenText> = cases,
            change: (FloatArray) -> FloatArray,
        ): ClassComparison {
            val model =
                Predictor { ids, mask, segmentIds ->
                    val cut = ids.copyOf(mask.sum())
                    val case = cases.first { it.ids.contentEquals(cut) }
                    assertEquals(ids.size, segmentIds.size)
                    listOf(change(case.predictions.getValue(TinyModel.RIGHT).logits))
                }
            val classifier = Classifier(description, tokenizer, model)
            return ClassComparison(TinyModel.RIGHT, description, classifier, asked)
                .apply { asked.forEach { case -> add(case) { false } } }
        }
    }
}
