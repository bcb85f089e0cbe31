// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

import distilbert.mobile.core.Json
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class JsonTextTest {
    @Test
    fun `writes every kind of value on one line of ASCII`() {
        val value =
            mapOf(
                "a" to listOf(1, 2L, 0.5, 1e-7, null, true),
                "é\"\\" to mapOf("b" to "line\n\u2028 😀\ud83d"),
                "c" to doubleArrayOf(1.5),
                "d" to emptyList<Int>(),
            )
        val expected =
            """{"a":[1,2,0.5,1.0E-7,null,true],"\u00e9\"\\":""" +
                """{"b":"line\u000a\u2028 \ud83d\ude00\ud83d"},"c":[1.5],"d":[]}"""
        assertEquals(expected, jsonText(value))
    }

    @Test
    fun `what it writes is read again`() {
        val text = (0..0xffff).map { it.toChar() }.joinToString("")
        val number = Double.MIN_VALUE
        val json = Json.parse(jsonText(mapOf(text to listOf(text, number, -1.0 / 3))))
        assertEquals(text, json.members().keys.single())
        val items = json[text].items()
        assertEquals(text, items[0].text())
        assertEquals(number, items[1].number(), 0.0)
        assertEquals(-1.0 / 3, items[2].number(), 0.0)
        assertTrue(jsonText(text).all { it in ' '..'~' })
    }

    @Test
    fun `refuses what JSON cannot hold`() {
        for (bad in listOf(Double.NaN, Float.POSITIVE_INFINITY, 'c', mapOf(1 to 2), Any())) {
            assertThrows(IllegalArgumentException::class.java) { jsonText(listOf(bad)) }
        }
    }
}
