// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.ErrorKind
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.ModelFiles
import distilbert.mobile.core.Predictor
import distilbert.mobile.core.WordPieceTokenizer
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotSame
import org.junit.Assert.assertSame
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.util.concurrent.CancellationException

class AnswererTest {
    private val description = SpanDescription.parse(ModelFiles.DESCRIPTION, verify = false)
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
        for (question in listOf("", " ", "\u200b")) {
            assertFalse(answerer.answer("by Anna", question).isAnswer)
        }
    }

    @Test
    fun `a window is padded to a length the model takes`() {
        val lengths = ArrayList<Int>()
        val static = ModelFiles.DESCRIPTION.replace("\"static\": []", "\"static\": [16, 32]")
        val padded =
            Predictor { ids, mask, segmentIds ->
                lengths.add(ids.size)
                assertEquals(7, mask.sum())
                assertTrue(ids.drop(7).all { it == 0 } && segmentIds.drop(7).all { it == 0 })
                model.run(ids, mask, segmentIds)
            }
        val answerer = Answerer(SpanDescription.parse(static, verify = false), tokenizer, padded)
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

    @Test
    fun `logits of another length or that are no numbers are refused`() {
        for (size in listOf(0, 3, 500)) {
            val wrong = Predictor { _, _, _ -> listOf(FloatArray(size), FloatArray(size)) }
            val error =
                assertThrows(ModelException::class.java) {
                    Answerer(description, tokenizer, wrong).answer("by anna", "who?")
                }
            val message = error.message.orEmpty()
            assertTrue(message, message.startsWith("the runtime computes $size values of start_"))
        }
        val nan =
            Predictor { ids, _, _ -> List(2) { FloatArray(ids.size) { Float.NaN } } }
        val error =
            assertThrows(ModelException::class.java) {
                Answerer(description, tokenizer, nan).answer("by anna", "who?")
            }
        assertEquals(ErrorKind.RUNTIME, error.kind)
    }

    @Test
    fun `candidates are ranked over all windows, and share a softmax`() {
        val passage = Passage("by anna in rome. ".repeat(10) + "anna")
        val options = AnswerOptions(candidates = 1000)
        val answer = answerer.answer(passage, "who?", options)
        val candidates = answer.candidates
        assertTrue("${candidates.size} candidates", candidates.size > 50)
        assertEquals(candidates.size, candidates.distinctBy { it.start to it.end }.size)
        assertEquals(candidates.map { it.score }.sortedDescending(), candidates.map { it.score })
        assertEquals(1.0, candidates.sumOf { it.confidence }, 1e-9)
        val best = candidates.first()
        assertEquals(listOf(answer.text, answer.start), listOf(best.text, best.start))
        assertEquals(best.confidence, answer.confidence, 0.0)
        // Fewer of them are the first of all, with the same shares.
        val three = answerer.answer(passage, "who?", AnswerOptions(candidates = 3)).candidates
        assertEquals(
            candidates.take(3).map { it.text to it.start },
            three.map { it.text to it.start },
        )
        assertEquals(best.confidence, three.first().confidence, 1e-12)
    }

    @Test
    fun `no answer is a candidate where the model may abstain`() {
        val abstaining =
            ModelFiles.DESCRIPTION.replace(
                "\"may_abstain\": false",
                "\"may_abstain\": true",
            )
        val description = SpanDescription.parse(abstaining, verify = false)
        val certain =
            Predictor { ids, _, _ -> List(2) { FloatArray(ids.size) { if (it == 0) 9f else 0f } } }
        val options = AnswerOptions(candidates = 2)
        val answer =
            Answerer(description, tokenizer, certain).answer(Passage("by anna"), "who?", options)
        assertEquals("", answer.text)
        assertFalse(answer.isAnswer)
        assertEquals(listOf("", "by"), answer.candidates.map { it.text })
        assertTrue("${answer.confidence}", answer.confidence > 0.99)
    }

    @Test
    fun `what a model that may not abstain finds is an answer, however low its score`() {
        val low = Predictor { ids, _, _ -> List(2) { FloatArray(ids.size) { -1f } } }
        val answer = Answerer(description, tokenizer, low).answer("by anna", "who?")
        assertEquals("by", answer.text)
        assertTrue(answer.isAnswer && answer.score < 0f)
        assertTrue(answer.confidence < 0.5)
        assertTrue(answerer.answer("by anna", "who?").isAnswer)
    }

    @Test
    fun `a search ends where its options say so`() {
        val passage = Passage("the tower of a. ".repeat(100) + "anna.")
        val whole = answerer.answer(passage, "who?", AnswerOptions())
        assertTrue(whole.isComplete && whole.text == "anna")
        val few = answerer.answer(passage, "who?", AnswerOptions(maxWindows = 3))
        assertFalse(few.isComplete)
        assertEquals(whole.windows, few.windows)
        assertEquals(listOf(whole.windows, 3), listOf(whole.windowsRead, few.windowsRead))
        assertTrue("${few.tokens} pieces", few.tokens <= 3 * 24)
        val slow =
            Predictor { ids, mask, segmentIds ->
                Thread.sleep(20)
                model.run(ids, mask, segmentIds)
            }
        val short =
            Answerer(description, tokenizer, slow)
                .answer(passage, "who?", AnswerOptions(maxMilliseconds = 10))
        assertFalse(short.isComplete)
        assertEquals(24, short.tokens)
        assertThrows(IllegalArgumentException::class.java) { AnswerOptions(maxWindows = 0) }
    }

    @Test
    fun `the windows with the question's words are read, as the options or the model say`() {
        val passage = Passage("the tower of a. ".repeat(50) + "who was rome? " + "a. ".repeat(99))
        val one = AnswerOptions(maxWindows = 1)
        val found = answerer.answer(passage, "who was?", one)
        assertEquals(listOf("rome", "1"), listOf(found.text, "${found.windowsRead}"))
        val search = "\"search\": {\"rule\": \"log-odds\", \"max_windows\": 1}, \"may_abstain\""
        val document =
            ModelFiles.DESCRIPTION
                .replace("_version\": 3", "_version\": 4")
                .replace("\"may_abstain\"", search)
        val searching = Answerer(SpanDescription.parse(document, verify = false), tokenizer, model)
        val same = searching.answer(passage, "who was?", AnswerOptions())
        assertEquals(listOf("rome", "1"), listOf(same.text, "${same.windowsRead}"))
        assertTrue(same.isComplete && !found.isComplete && same.isAnswer)
        val all = searching.answer(passage, "who was?", AnswerOptions(maxWindows = 999))
        assertEquals(all.windows, all.windowsRead)
    }

    @Test
    fun `a passage is tokenized once for each tokenizer`() {
        val passage = Passage("by anna")
        val pieces = passage.pieces(tokenizer) { false }
        assertSame(pieces, passage.pieces(tokenizer) { false })
        assertEquals("anna", answerer.answer(passage, "who?", AnswerOptions()).text)
        val other =
            WordPieceTokenizer.read(description.tokenizer, ModelFiles.VOCABULARY.toByteArray())
        assertNotSame(pieces, passage.pieces(other) { false })
    }
}
