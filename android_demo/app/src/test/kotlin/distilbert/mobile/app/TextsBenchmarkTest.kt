// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import distilbert.mobile.testing.Builds
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Test
import java.io.FileNotFoundException

class TextsBenchmarkTest {
    private val model = FakeClassifier()

    @Test
    fun `runs the texts of the build and scores their classes`() {
        val document =
            """
            {"schema_version": 1, "source": "a set", "sha256": "0", "available": 2, "texts": [
              {"text": "fine", "label": "Positive"}, {"text": "dull", "label": "negative"}]}
            """.trimIndent()
        val workload =
            TextsBenchmark.workload(model) { name ->
                assertEquals("texts.json", name)
                document
            }
        val results = (0 until workload.size).map { workload.run(it, model, null) { false } }
        assertEquals(mapOf("accuracy" to 50.0), workload.scores(results))
        assertEquals(listOf("fine" to null, "dull" to null), model.asked)
    }

    @Test
    fun `runs the golden cases where there are no texts`() {
        val workload =
            TextsBenchmark.workload(model) { name ->
                if (name != "golden.json") throw FileNotFoundException(name)
                Builds.tinyClasses.resolve(name).readText()
            }
        assertEquals("golden cases", workload.source)
        assertEquals(workload.available, workload.size)
        assertNull(workload.scores(List(workload.size) { workload.run(it, model, null) { false } }))
    }
}
