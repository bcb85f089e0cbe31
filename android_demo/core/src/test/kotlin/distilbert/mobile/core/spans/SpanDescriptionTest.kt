// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.ErrorKind
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
        val description = SpanDescription.parse(ModelFiles.DESCRIPTION, verify = false)
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
        assertEquals(-1.25, SpanDescription.parse(document, verify = false).nullThreshold, 0.0)
    }

    @Test
    fun `reads how a passage is searched, where that is not the default`() {
        val plain = SpanDescription.parse(ModelFiles.DESCRIPTION, verify = false).search
        assertEquals(Search.Rule.LOGITS to null, plain.rule to plain.maxWindows)
        val search = SpanDescription.parse(searched("log-odds", "2"), verify = false).search
        assertEquals(Search.Rule.LOG_ODDS to 2, search.rule to search.maxWindows)
        assertEquals(
            null,
            SpanDescription.parse(searched("logits", "null"), verify = false).search.maxWindows,
        )
    }

    @Test
    fun `refuses a search that it does not know, and one that an older app would ignore`() {
        val unknown = assertThrows(ModelException::class.java) { parse(searched("luck", "2")) }
        assertEquals(ErrorKind.UNSUPPORTED, unknown.kind)
        for (most in listOf("0", "-1", "65537", "1.5", "true", "\"2\"")) {
            assertThrows(most, ModelException::class.java) { parse(searched("logits", most)) }
        }
        for (document in listOf(
            searched("logits", "2").replace("_version\": 4", "_version\": 3"),
            ModelFiles.DESCRIPTION.replace("_version\": 3", "_version\": 4"),
        )) {
            val error = assertThrows(ModelException::class.java) { parse(document) }
            assertEquals(
                "model.json: schema_version is 4 where there is a search, and only there: build " +
                    "the model again",
                error.message,
            )
        }
    }

    private fun parse(document: String) = SpanDescription.parse(document, verify = false)

    private fun searched(rule: String, most: String) =
        ModelFiles.DESCRIPTION
            .replace("_version\": 3", "_version\": 4")
            .replace(
                "\"may_abstain\"",
                "\"search\": {\"rule\": \"$rule\", \"max_windows\": $most}, \"may_abstain\"",
            )

    @Test
    fun `finds the logits by the outputs' names`() {
        val turned =
            ModelFiles.DESCRIPTION
                .replace("start_logits", "first")
                .replace("end_logits", "start_logits")
                .replace("first", "end_logits")
        val outputs = List(2) { floatArrayOf(it.toFloat()) }
        assertSame(
            outputs[0],
            SpanDescription.parse(ModelFiles.DESCRIPTION, verify = false).logits(outputs).start,
        )
        assertSame(outputs[1], SpanDescription.parse(turned, verify = false).logits(outputs).start)
    }

    @Test
    fun `refuses a model of another task`() {
        val document = ModelFiles.DESCRIPTION.replace("start_logits", "logits")
        val error =
            assertThrows(
                ModelException::class.java,
            ) { SpanDescription.parse(document, verify = false) }
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
