// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.classes

import distilbert.mobile.core.ModelException
import distilbert.mobile.core.ModelFiles
import distilbert.mobile.core.Predictor
import distilbert.mobile.core.WordPieceTokenizer
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.util.concurrent.CancellationException
import kotlin.math.exp

class ClassifierTest {
    private val runs = ArrayList<List<Int>>()

    /** A classifier whose model gives [logits] for whatever input. */
    private fun classifier(document: String, vararg logits: Float): Classifier {
        val description = ClassDescription.parse(document, verify = false)
        val vocabulary = ModelFiles.VOCABULARY.toByteArray()
        val tokenizer = WordPieceTokenizer.read(description.tokenizer, vocabulary)
        return Classifier(
            description,
            tokenizer,
            Predictor { ids, mask, _ ->
                assertEquals(ids.size, mask.size)
                runs.add(ids.toList())
                listOf(logits)
            },
        )
    }

    @Test
    fun `the most probable class comes first, with its probability`() {
        val found = classifier(ClassFiles.CLASSES, 0f, 1f, -1f).classify("the tower")
        val sum = 1 + exp(1.0) + exp(-1.0)
        assertEquals("fair", found.label)
        assertEquals(exp(1.0) / sum, found.probability, 1e-12)
        assertEquals(listOf("fair", "bad", "good"), found.scores.map { it.label })
        assertEquals(exp(-1.0) / sum, found.scores.last().probability, 1e-12)
        assertEquals(0.0, found.value, 0.0)
        assertEquals(4, found.tokens)
        assertEquals(listOf(listOf(2, 6, 7, 3)), runs)
    }

    @Test
    fun `of equal classes the first comes first`() {
        val found = classifier(ClassFiles.CLASSES, -5f, 2f, 2f).classify("")
        assertEquals(listOf("fair", "good", "bad"), found.scores.map { it.label })
    }

    @Test
    fun `large logits have probabilities`() {
        val found = classifier(ClassFiles.PAIRS, 3e38f, -3e38f).classify("rome", "anna")
        assertEquals("no", found.label)
        assertEquals(1.0, found.probability, 0.0)
        assertEquals(0.0, found.scores[1].probability, 0.0)
    }

    @Test
    fun `a regression predicts a number`() {
        val found = classifier(ClassFiles.NUMBER, 2.5f).classify("rome")
        assertEquals(2.5, found.value, 0.0)
        assertEquals("", found.label)
        assertEquals(0.0, found.probability, 0.0)
        assertTrue(found.scores.isEmpty())
    }

    @Test
    fun `long texts are cut, of a pair the longer one`() {
        classifier(ClassFiles.CLASSES, 0f, 0f, 0f).classify("rome ".repeat(5000))
        classifier(ClassFiles.PAIRS, 0f, 0f).classify("rome ".repeat(5000), "by anna")
        assertEquals(listOf(2) + List(7) { 9 } + 3, runs[0])
        assertEquals(listOf(2, 9, 9, 9, 9, 3, 12, 13, 3), runs[1])
    }

    @Test
    fun `an input is padded`() {
        val found = classifier(ClassFiles.CLASSES, 0f, 0f, 1f).classify("rome", padTo = 8)
        assertEquals(listOf(2, 9, 3, 0, 0, 0, 0, 0), runs.single())
        assertEquals(3, found.tokens)
        assertEquals("good", found.label)
    }

    @Test
    fun `logits that are no numbers are an error`() {
        for (bad in listOf(Float.NaN, Float.POSITIVE_INFINITY)) {
            for ((document, count) in listOf(ClassFiles.CLASSES to 3, ClassFiles.NUMBER to 1)) {
                val classifier = classifier(document, *FloatArray(count) { bad })
                assertThrows(ModelException::class.java) { classifier.classify("rome") }
            }
        }
    }

    @Test
    fun `one text and two are not mistaken for each other`() {
        assertThrows(IllegalArgumentException::class.java) {
            classifier(ClassFiles.CLASSES, 0f, 0f, 0f).classify("rome", "anna")
        }
        assertThrows(IllegalArgumentException::class.java) {
            classifier(ClassFiles.PAIRS, 0f, 0f).classify("rome")
        }
    }

    @Test
    fun `a text can be taken back`() {
        assertThrows(CancellationException::class.java) {
            classifier(ClassFiles.CLASSES, 0f, 0f, 0f).classify("rome") { true }
        }
        assertTrue(runs.isEmpty())
    }
}
