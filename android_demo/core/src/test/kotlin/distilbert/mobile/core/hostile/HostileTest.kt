// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.hostile

import distilbert.mobile.core.COPY_AGAIN
import distilbert.mobile.core.Canonical
import distilbert.mobile.core.DIGEST
import distilbert.mobile.core.Json
import distilbert.mobile.core.JsonReader
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.WordPieceTokenizer
import distilbert.mobile.core.classes.ClassDescription
import distilbert.mobile.core.classes.GoldenText
import distilbert.mobile.core.digest
import distilbert.mobile.core.spans.GoldenCase
import distilbert.mobile.core.spans.SpanDescription
import distilbert.mobile.testing.Builds
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File
import java.util.Random

/** Documents that no build writes, the same for all readers, and changed bytes. */
class HostileTest {
    @Test
    fun `every hostile document is refused in one line, and the build's own is read`() {
        for (base in BASES) read(base, emptyMap())
        val documents =
            raw(Builds.golden.resolve("hostile.json").readText()).let { it["documents"] as List<*> }
        for (entry in documents.map { it as Map<*, *> }) {
            val name = entry["name"] as String
            val base = entry["base"] as String
            val file = entry["file"] as String
            val changes = mapOf(file to (entry["text"] as String? ?: changed(base, file, entry)))
            val error = assertThrows(name, ModelException::class.java) { read(base, changes) }
            val message = error.message.orEmpty()
            assertTrue("$name: $message", message.isNotEmpty() && message.length < LONGEST_MESSAGE)
            assertFalse("$name: $message", message.any { it < ' ' })
        }
        assertTrue("${documents.size} documents", documents.size >= 100)
    }

    @Test
    fun `changed bytes of every small file are noticed`() {
        val random = Random(SEED)
        for (base in BASES) {
            for (name in NAMES) {
                val whole =
                    Builds.golden
                        .resolve(base)
                        .resolve(name)
                        .readBytes()
                repeat(CHANGES) {
                    val bytes = whole.copyOf()
                    val place = random.nextInt(bytes.size)
                    bytes[place] = (bytes[place] + 1 + random.nextInt(BYTES - 1)).toByte()
                    // The layout of JSON is free.
                    if (bytes[place].toInt() in BLANKS &&
                        whole[place].toInt() in BLANKS
                    ) {
                        return@repeat
                    }
                    val what = "$base/$name, byte $place: ${whole[place]} to ${bytes[place]}"
                    assertThrows(what, ModelException::class.java) {
                        read(base, mapOf(name to bytes))
                    }
                }
            }
        }
    }

    @Test
    fun `a changed document says what to do, and is read where its digest is not asked`() {
        val text = Builds.tiny.resolve("model.json").readText()
        val changed = text.replace("\"may_abstain\": false", "\"may_abstain\": true")
        val error = assertThrows(ModelException::class.java) { SpanDescription.parse(changed) }
        val message = error.message.orEmpty()
        assertTrue(message, message.startsWith("model.json is damaged or was changed: its digest"))
        assertTrue(message, message.endsWith(COPY_AGAIN))
        assertTrue(SpanDescription.parse(changed, verify = false).mayAbstain)
        val vocabulary =
            Builds.tiny
                .resolve("vocab.txt")
                .readText()
                .replace("the\n", "teh\n")
        val tokenizer = SpanDescription.parse(text).tokenizer
        assertThrows(ModelException::class.java) {
            WordPieceTokenizer.read(tokenizer, vocabulary.toByteArray())
        }
        WordPieceTokenizer.read(tokenizer, vocabulary.toByteArray(), verify = false)
    }

    @Test
    fun `numbers are written as ECMAScript does`() {
        val expected =
            listOf(
                0.0 to "0",
                -0.0 to "0",
                1e21 to "1e+21",
                1e20 to "100000000000000000000",
                1.5e300 to "1.5e+300",
                1e-6 to "0.000001",
                1.5e-7 to "1.5e-7",
                5e-324 to "5e-324",
                -33.25 to "-33.25",
                0.1 + 0.2 to "0.30000000000000004",
                9007199254740991.0 to "9007199254740991",
                1.7976931348623157e308 to "1.7976931348623157e+308",
                2.2250738585072014e-308 to "2.2250738585072014e-308",
                123456.789012 to "123456.789012",
            )
        for ((value, text) in expected) assertEquals(text, Canonical.number(value))
        val random = Random(SEED)
        repeat(MANY) {
            val value = java.lang.Double.longBitsToDouble(random.nextLong())
            if (value.isFinite()) assertEquals(value, Canonical.number(value).toDouble(), 0.0)
        }
    }

    /** Reads a folder in which some files are others, as far as it is these. */
    private fun read(base: String, changes: Map<String, Any>) {
        val folder = Builds.golden.resolve(base)

        fun bytes(name: String): ByteArray =
            when (val change = changes[name]) {
                null -> File(folder, name).readBytes()
                is String -> change.toByteArray()
                else -> change as ByteArray
            }

        fun text(name: String) = bytes(name).toString(Charsets.UTF_8)
        val isClasses = base in CLASSES
        val description =
            text("model.json").let {
                if (isClasses) ClassDescription.parse(it) else SpanDescription.parse(it)
            }
        WordPieceTokenizer.read(description.tokenizer, bytes(description.tokenizer.file))
        if (changes.isNotEmpty() && description.golden !in changes) return
        text(description.golden).let {
            if (isClasses) GoldenText.parse(it) else GoldenCase.parse(it)
        }
    }

    /** A file with one value changed, and with a digest that fits, unless that is what changed. */
    private fun changed(base: String, file: String, entry: Map<*, *>): String {
        val document =
            raw(
                Builds.golden
                    .resolve(base)
                    .resolve(file)
                    .readText(),
            )
        val path = entry["path"] as List<*>
        val place = path.dropLast(1).fold<Any?, Any?>(document) { at, step -> at(at, step) }
        set(place, path.last(), entry)
        val isHalf = entry["value"] == HALF
        if (path.last() != DIGEST && !isHalf) {
            document[DIGEST] = Json.parse(Canonical.write(document)).digest()
        }
        if (!isHalf) return Canonical.write(document)
        set(place, path.last(), mapOf("value" to "half"))
        return Canonical.write(document).replace("\"half\"", "\"\\ud800\"")
    }

    private fun at(place: Any?, step: Any?): Any? =
        if (place is List<*>) place[(step as Double).toInt()] else (place as Map<*, *>)[step]

    @Suppress("UNCHECKED_CAST")
    private fun set(place: Any?, step: Any?, entry: Map<*, *>) {
        if (place is MutableList<*>) {
            (place as MutableList<Any?>)[(step as Double).toInt()] = entry["value"]
        } else if (entry["removed"] == true) {
            (place as MutableMap<String, Any?>).remove(step)
        } else {
            (place as MutableMap<String, Any?>)[step as String] = entry["value"]
        }
    }

    @Suppress("UNCHECKED_CAST")
    private fun raw(text: String) = JsonReader(text).document() as MutableMap<String, Any?>

    private companion object {
        const val SEED = 20L
        const val CHANGES = 100
        const val MANY = 2_000
        const val BYTES = 256
        const val LONGEST_MESSAGE = 500
        const val HALF = "\ud800"
        val BLANKS = " \n\t\r".map { it.code }
        val CLASSES = listOf("tiny-classes", "tiny-number")
        val BASES = listOf("tiny", "tiny-static") + CLASSES
        val NAMES = listOf("model.json", "vocab.txt", "golden.json")
    }
}
