// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.classes

import distilbert.mobile.core.ModelException
import distilbert.mobile.testing.Builds
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class GoldenTextTest {
    private val document = Builds.tinyClasses.resolve("golden.json").readText()

    @Test
    fun `reads texts with classes`() {
        val case = GoldenText.parse(document).first()
        val prediction = case.predictions.getValue("student-int8-per-tensor.tflite")
        assertNull(case.pair)
        assertTrue(case.text, case.text.startsWith("What should"))
        assertEquals(3, prediction.logits.size)
        val best = prediction.logits.indices.maxBy { prediction.logits[it] }
        assertEquals(listOf("negative", "neutral", "positive")[best], prediction.label)
        assertEquals(
            Classifier.probabilities(prediction.logits)[best],
            prediction.probability,
            1e-4,
        )
    }

    @Test
    fun `reads pairs with numbers`() {
        val cases = GoldenText.parse(Builds.tinyNumber.resolve("golden.json").readText())
        assertTrue(cases.all { it.pair != null } && cases.any { it.pair == "" })
        val prediction = cases[0].predictions.values.single()
        assertEquals("", prediction.label)
        assertEquals(prediction.logits.single(), prediction.value.toFloat())
    }

    @Test
    fun `refuses what no build writes, and names the file`() {
        for (broken in listOf(
            """{"schema_version": 2, "cases": []}""",
            document.replace("\"schema_version\":2", "\"schema_version\":3"),
            document.replace("\"ids\"", "\"pieces\""),
            document.replace("\"probability\"", "\"odds\""),
            document.replace("\"label\"", "\"class\""),
            document.dropLast(3),
        )) {
            val error =
                assertThrows(
                    ModelException::class.java,
                ) { GoldenText.parse(broken, verify = false) }.message!!
            assertTrue(error, "golden.json" in error)
        }
    }
}
