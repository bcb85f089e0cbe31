// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.ModelException
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test

class GoldenCaseTest {
    private fun document(start: Int) =
        """
        {"schema_version": 2, "offsets": "Unicode code points", "cases": [{
          "question": "who?", "context": "😀 by anna", "window_count": 1,
          "windows": [{"ids": [2, 16, 19, 3, 1, 12, 13, 3], "first": 4, "offsets": [[0, 1]]}],
          "answers": {"student-int8.tflite": {"text": "anna", "start": $start, "end": 9,
            "score": 1.5, "start_logits": [0.5, 1, 0, 0, 0, 0, 0, 0], "end_logits": [1, 0, 0, 0, 0, 0, 0, 0]}}}]}
        """.trimIndent()

    @Test
    fun `code points become UTF-16 units`() {
        val case = GoldenCase.parse(document(5), verify = false).single()
        val answer = case.answers.getValue("student-int8.tflite")
        assertEquals("anna", case.passage.substring(answer.start, answer.end))
        assertEquals(1.5, answer.score, 0.0)
        assertEquals(8, answer.logits.start.size)
    }

    @Test
    fun `refuses what no build writes`() {
        val whole = document(5)
        for (broken in listOf(
            document(10),
            """{"schema_version": 2, "cases": []}""",
            whole.replace(Regex("\"windows\": \\[.*"), "\"windows\": [],"),
            whole.replace("\"score\"", "\"points\""),
        )) {
            assertThrows(
                broken,
                ModelException::class.java,
            ) { GoldenCase.parse(broken, verify = false) }
        }
    }
}
