// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.core.ModelDescription
import distilbert.mobile.testing.Builds
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner

@RunWith(RobolectricTestRunner::class)
class RuntimeTest {
    private val description =
        ModelDescription.parse(Builds.tiny.resolve("model.json").readText())
    private val int8 = description.files.getValue("int8")
    private val perTensor = description.files.getValue("int8-per-tensor")

    @Test
    fun `names and versions`() {
        assertEquals("TensorFlow Lite 2.16.1", Runtime("2.16.1").toString())
        assertEquals(
            "LiteRT (TensorFlow Lite 2.22.0-dev0+selfbuilt)",
            Runtime("2.22.0-dev0+selfbuilt").toString(),
        )
        assertEquals("LiteRT 1.4.0", Runtime("1.4.0").toString())
    }

    @Test
    fun `knows what it computes`() {
        val files = listOf(int8, perTensor)
        for ((version, computed) in listOf(
            "2.8.0" to listOf(false, false),
            "2.9" to listOf(false, true),
            "2.16.1" to listOf(false, true),
            "2.17.0" to listOf(true, true),
            "2.22.0-dev0+selfbuilt" to listOf(true, true),
            "1.0.0" to listOf(false, false),
            "1.0.1" to listOf(true, true),
            "odd" to listOf(false, false),
        )) {
            assertEquals(version, computed, files.map { Runtime(version).computes(it) })
        }
    }

    @Test
    fun `says what to ship instead`() {
        val old = Runtime("2.16.1")
        assertEquals("ship ${perTensor.path} instead", old.insteadOf(int8, description))
        assertTrue(old.insteadOf(perTensor, description).startsWith("ship the precision"))
        assertEquals(
            "ship ${int8.path} instead",
            Runtime("2.22.0").insteadOf(perTensor, description),
        )
    }

    @Test
    fun `names the processor`() = assertTrue(Runtime.processor(), '(' in Runtime.processor())
}
