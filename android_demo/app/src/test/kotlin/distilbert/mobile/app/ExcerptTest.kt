// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import kotlin.random.Random

class ExcerptTest {
    private fun around(passage: String, answer: String): String {
        val start = passage.indexOf(answer)
        val found = Excerpt.of(passage, start, start + answer.length)
        assertEquals(answer, found.text.substring(found.start, found.end))
        return found.text
    }

    @Test
    fun `is the sentence of the answer`() {
        val text = "It rained. The tower is 41 metres high!  Nobody came.\nNext line: none"
        assertEquals("The tower is 41 metres high!", around(text, "41 metres"))
        assertEquals("It rained.", around(text, "It"))
        assertEquals("Nobody came.", around(text, "Nobody came."))
        assertEquals("Next line: none", around(text, "none"))
        assertEquals("It rained. The tower is 41 metres high!", around(text, "rained. The"))
        assertEquals("Nobody came.\nNext line: none", around(text, "came.\nNext"))
    }

    @Test
    fun `a sentence without an end is cut between words`() {
        val text = "word ".repeat(200) + "answer" + " word".repeat(200)
        val found = around(text, "answer")
        assertTrue(found, found.startsWith("… word") && found.endsWith("word …"))
        assertTrue("${found.length}", found.length < 400)
    }

    @Test
    fun `any range of any text holds its answer`() {
        val random = Random(0)
        repeat(2000) {
            val text =
                String(CharArray(random.nextInt(1, 60)) { "a b.\n!?… \ud83d\ude00".random(random) })
            val start = random.nextInt(text.length)
            val end = random.nextInt(start, text.length) + 1
            val found = Excerpt.of(text, start, end)
            assertEquals(text.substring(start, end), found.text.substring(found.start, found.end))
        }
    }
}
