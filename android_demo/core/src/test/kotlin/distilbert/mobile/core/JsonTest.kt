// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class JsonTest {
    @Test
    fun `reads every kind of value`() {
        val json = Json.parse(""" {"a": [1, -2.5e-3, 0], "b": {"c": null, "d": true}, "e": "" } """)
        assertArrayEquals(floatArrayOf(1f, -0.0025f, 0f), json["a"].floats(), 0f)
        assertNull(json["b"].optional("c"))
        assertTrue(json["b"]["d"].flag())
        assertEquals("", json["e"].text())
        assertEquals(listOf("a", "b", "e"), json.members().keys.toList())
    }

    @Test
    fun `reads escapes and characters beyond the BMP`() {
        val text = Json.parse(""" "\"\\\/\b\f\n\r\t\u00e9\ud83d\uDE00é😀" """).text()
        assertEquals("\"\\/\b\u000c\n\r\té😀é😀", text)
    }

    @Test
    fun `refuses what is not JSON and names the place`() {
        val broken =
            listOf(
                *arrayOf("", "{", "[1,]", "[1 2]", "{\"a\" 1}", "{a: 1}", "{\"a\": 1, \"a\": 2}"),
                *arrayOf("{\"a\": null, \"a\": 2}", "{\"a\": null, \"a\": null}"),
                *arrayOf("01", "+1", "1.", ".5", "1e", "- 1", "nul", "NaN", "{} {}", "'a'"),
                *arrayOf("\"a", "\"\n\"", "\"\\x\"", "\"\\u12\"", "\"\\uFF1G\"", "\""),
            )
        for (document in broken) {
            val error = assertThrows(document, ModelException::class.java) { Json.parse(document) }
            assertTrue(error.message!!, error.message!!.startsWith("no valid JSON at character"))
        }
        assertThrows(ModelException::class.java) { Json.parse("[".repeat(100_000)) }
    }

    @Test
    fun `errors name what came and what is allowed`() {
        val json = Json.parse("""{"a": {"b": [1, 2.5, "x"]}}""")

        fun message(read: () -> Unit) = assertThrows(ModelException::class.java, read).message
        assertEquals("the document lacks \"z\"", message { json["z"] })
        assertEquals("a lacks \"z\"", message { json["a"]["z"] })
        assertEquals("a.b: expected a text, found an array", message { json["a"]["b"].text() })
        val items = json["a"]["b"].items()
        assertEquals("a.b[1]: expected a whole number, found 2.5", message { items[1].integer() })
        assertEquals("a.b[2]: expected a number, found \"x\"", message { items[2].number() })
    }
}
