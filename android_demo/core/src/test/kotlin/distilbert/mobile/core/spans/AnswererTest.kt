// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.ModelFiles
import distilbert.mobile.core.Predictor
import distilbert.mobile.core.WordPieceTokenizer
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.util.concurrent.CancellationException

class AnswererTest {
    private val description = SpanDescription.parse(ModelFiles.DESCRIPTION)
    private val tokenizer =
        WordPieceTokenizer.read(description.tokenizer, ModelFiles.VOCABULARY.toByteArray())

    /** Finds the pieces of a name: ids of "rome" and "anna". */
    private val model =
        Predictor { ids, mask, segmentIds ->
            assertTrue(ids.size == mask.size && ids.size == segmentIds.size)
            val name = setOf(9, 13)
            val scores = FloatArray(ids.size) { if (ids[it] in name) it + 1f else 0f }
            listOf(scores, scores)
        }
    private val answerer = Answerer(description, tokenizer, model)

    @Test
    fun `answers with the passage's own characters`() {
        val passage = "😀 The tower of Ro\u0301me was built."
        val answer = answerer.answer(passage, "Where?")
        assertEquals("Ro\u0301me", answer.text)
        assertEquals(passage.indexOf("Ro"), answer.start)
        assertEquals(answer.start + 5, answer.end)
        assertEquals(1, answer.windows)
    }

    @Test
    fun `a long passage is one window after the other`() {
        val passage = "the tower of a. ".repeat(1250) + "anna."
        val answer = answerer.answer(passage, "Who?")
        assertEquals("anna", answer.text)
        assertEquals(passage.length - 5, answer.start)
        assertTrue("${answer.windows} windows", answer.windows > 600)
    }

    @Test
    fun `empty and odd texts are answered with nothing`() {
        for (passage in listOf("", " \n", "\u200b", "\ud83d", "\ude00\ud83d")) {
            assertEquals("", answerer.answer(passage, "Who?").text)
        }
        assertEquals("rome", answerer.answer("\ud83drome\ude00", "why ".repeat(2000)).text)
        assertEquals("Anna", answerer.answer("by Anna", "").text)
    }

    @Test
    fun `a window is padded to a length the model takes`() {
        val lengths = ArrayList<Int>()
        val static = ModelFiles.DESCRIPTION.replace("\"static\": []", "\"static\": [32, 16]")
        val padded =
            Predictor { ids, mask, segmentIds ->
                lengths.add(ids.size)
                assertEquals(7, mask.sum())
                assertTrue(ids.drop(7).all { it == 0 } && segmentIds.drop(7).all { it == 0 })
                model.run(ids, mask, segmentIds)
            }
        val answerer = Answerer(SpanDescription.parse(static), tokenizer, padded)
        val answer = answerer.answer("by anna", "who?")
        assertEquals("anna", answer.text)
        assertEquals(listOf(16), lengths)
    }

    @Test
    fun `a question can be taken back`() {
        var asked = 0
        assertThrows(CancellationException::class.java) {
            answerer.answer("the tower of rome. ".repeat(100), "Who?") { ++asked == 3 }
        }
        assertEquals(3, asked)
    }
}
