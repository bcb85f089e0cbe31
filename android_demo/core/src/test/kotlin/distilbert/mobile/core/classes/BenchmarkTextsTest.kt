// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.classes

import distilbert.mobile.core.ModelException
import distilbert.mobile.core.Times
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class BenchmarkTextsTest {
    private val description = ClassDescription.parse(ClassFiles.CLASSES, verify = false)
    private val document =
        """
        {"schema_version": 1, "source": "a set", "sha256": "00", "available": 9, "texts": [
          {"text": "rome", "label": "good"}, {"text": "anna", "label": "FAIR"},
          {"text": "tower", "label": "0"}]}
        """.trimIndent()

    private fun results(vararg labels: String) =
        labels.map { Classification(it, 1.0, emptyList(), 0.0, 8, Times(0.0, 1.0, 0.0)) }

    @Test
    fun `the accuracy is percent`() {
        val texts = BenchmarkTexts.parse(document, description)
        assertEquals(listOf("accuracy"), texts.metrics.map { it.name })
        assertEquals(mapOf("accuracy" to 100.0), texts.scores(results("good", "fair", "bad")))
        val scores = texts.scores(results("good", "bad", "fair"))!!
        assertEquals(100 / 3.0, scores.values.single(), 1e-9)
    }

    @Test
    fun `numbers and golden cases have no score`() {
        val number = ClassDescription.parse(ClassFiles.NUMBER, verify = false)
        val texts = BenchmarkTexts.parse(document, number)
        assertTrue(texts.metrics.isEmpty())
        assertNull(texts.scores(results("", "", "")))
        val golden = BenchmarkTexts.of(listOf(GoldenText("a", "b", IntArray(0), emptyMap())))
        assertNull(golden.scores(results("good")))
        assertEquals("b", golden.texts.single().pair)
    }

    @Test
    fun `the seed decides the order`() {
        val texts = BenchmarkTexts.parse(document, description)

        fun order(seed: Int) = texts.drawn(3, seed).texts.map { it.text }

        assertEquals(order(7), order(7))
        assertNotEquals(1, (0 until 10).map(::order).distinct().size)
        assertEquals(2, texts.drawn(2, 7).size)
        assertEquals(9, texts.drawn(2, 7).available)
    }

    @Test
    fun `refuses what no build writes, and names the file`() {
        for (broken in listOf(
            document.replace("schema_version\": 1", "schema_version\": 2"),
            document.replace("\"label\"", "\"class\""),
            document.substringBefore("{\"text\"") + "]}",
        )) {
            val error =
                assertThrows(ModelException::class.java) {
                    BenchmarkTexts.parse(broken, description)
                }
            assertTrue(error.message, "texts.json" in error.message!!)
        }
    }
}
