// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.classes

import distilbert.mobile.core.ModelException
import distilbert.mobile.core.ModelFiles
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class ClassDescriptionTest {
    private fun message(document: String): String =
        assertThrows(document, ModelException::class.java) {
            ClassDescription.parse(document, verify = false)
        }.message!!

    @Test
    fun `reads the settings of the task beside the general ones`() {
        val description = ClassDescription.parse(ClassFiles.CLASSES, verify = false)
        assertEquals(ClassDescription.TASK, description.task)
        assertEquals("classify", description.signature)
        assertEquals(listOf("bad", "fair", "good"), description.labels)
        assertFalse(description.isRegression || description.isPair)
        assertEquals(9, description.maxLength)
        assertTrue(ClassDescription.parse(ClassFiles.PAIRS, verify = false).isPair)
    }

    @Test
    fun `a regression has no labels`() {
        val description = ClassDescription.parse(ClassFiles.NUMBER, verify = false)
        assertTrue(description.isRegression)
        assertEquals(emptyList<String>(), description.labels)
    }

    @Test
    fun `refuses a model of another task`() {
        assertEquals(
            "model.json describes the task \"extractive question answering\" with the outputs " +
                "start_logits, end_logits; classifying texts needs logits: build a model for " +
                "text classification",
            message(ModelFiles.DESCRIPTION),
        )
    }

    @Test
    fun `refuses labels that are not those of the logits`() {
        val whole = ClassFiles.CLASSES
        assertEquals(
            "model.json has 3 logits for 2 labels: build the model again",
            message(whole.replace("\"bad\", ", "")),
        )
        for (broken in listOf(
            whole.replace("\"regression\": false", "\"regression\": true"),
            whole.replace("\"bad\", \"fair\", \"good\"", ""),
            whole.replace("\"bad\", \"fair\", ", ""),
            ClassFiles.NUMBER.replace("\"regression\": true", "\"regression\": false"),
        )) {
            assertTrue(message(broken), "a regression has none" in message(broken))
        }
    }

    @Test
    fun `refuses lengths and truncations that it does not know`() {
        for (length in listOf(-1, 4, 513)) {
            assertEquals(
                "model.json has inputs of up to $length word pieces: allowed are 5 to 512",
                message(ClassFiles.CLASSES.replace("_length\": 9", "_length\": $length")),
            )
        }
        assertEquals(
            "model.json has the truncation \"only_first\", this version knows " +
                "\"longest_first\": update this app",
            message(ClassFiles.CLASSES.replace("longest_first", "only_first")),
        )
    }

    @Test
    fun `errors of form name the file`() {
        val whole = ClassFiles.CLASSES
        assertEquals(
            "model.json: the document lacks \"pair\"",
            message(whole.replace("\"pair\"", "\"twins\"")),
        )
        assertEquals(
            "model.json: labels[1]: expected a text, found 1.0",
            message(whole.replace("\"fair\"", "1")),
        )
        assertTrue(message(whole.dropLast(1)).startsWith("model.json: "))
    }
}
