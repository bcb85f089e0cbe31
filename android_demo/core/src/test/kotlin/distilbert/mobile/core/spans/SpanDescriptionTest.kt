// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.ModelException
import distilbert.mobile.core.ModelFiles
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertSame
import org.junit.Assert.assertThrows
import org.junit.Test

class SpanDescriptionTest {
    @Test
    fun `reads the settings of the task beside the general ones`() {
        val description = SpanDescription.parse(ModelFiles.DESCRIPTION)
        assertEquals("student-int8.tflite", description.default)
        assertEquals(24, description.limits.maxLength)
        assertEquals(8, description.limits.stride)
        assertFalse(description.mayAbstain)
        assertEquals(0.0, description.nullThreshold, 0.0)
    }

    @Test
    fun `reads the threshold of no answer where there is one`() {
        val mayAbstain = "\"may_abstain\""
        val document =
            ModelFiles.DESCRIPTION.replace(mayAbstain, "\"null_threshold\": -1.25, $mayAbstain")
        assertEquals(-1.25, SpanDescription.parse(document).nullThreshold, 0.0)
    }

    @Test
    fun `finds the logits by the outputs' names`() {
        val turned =
            ModelFiles.DESCRIPTION
                .replace("start_logits", "first")
                .replace("end_logits", "start_logits")
                .replace("first", "end_logits")
        val outputs = List(2) { floatArrayOf(it.toFloat()) }
        assertSame(outputs[0], SpanDescription.parse(ModelFiles.DESCRIPTION).logits(outputs).start)
        assertSame(outputs[1], SpanDescription.parse(turned).logits(outputs).start)
    }

    @Test
    fun `refuses a model of another task`() {
        val document = ModelFiles.DESCRIPTION.replace("start_logits", "logits")
        val error = assertThrows(ModelException::class.java) { SpanDescription.parse(document) }
        assertEquals(
            "model.json describes the task \"extractive question answering\" with the outputs " +
                "logits, end_logits; answering questions needs start_logits and end_logits: " +
                "build a model for question answering",
            error.message,
        )
    }

    @Test
    fun `refuses limits that leave pieces in no window`() {
        Limits(maxLength = 24, stride = 15, maxQuery = 6)
        for (stride in listOf(0, 16)) {
            assertThrows(ModelException::class.java) {
                Limits(maxLength = 24, stride = stride, maxQuery = 6)
            }
        }
    }
}
