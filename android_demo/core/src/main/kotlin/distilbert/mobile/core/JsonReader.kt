// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

/**
 * Reads one JSON document (RFC 8259) into maps, lists, strings, doubles, booleans and nulls.
 *
 * Strict: what the grammar does not allow is an error that names its place.
 */
internal class JsonReader(private val source: String) {
    private var at = 0

    fun document(): Any? {
        val value = value(0)
        skipSpace()
        if (at < source.length) fail("text after the end of the document")
        return value
    }

    private fun value(depth: Int): Any? {
        if (depth > DEEPEST) fail("more than $DEEPEST levels")
        skipSpace()
        return when (peek()) {
            '{' -> members(depth)
            '[' -> items(depth)
            '"' -> string()
            't' -> word("true", true)
            'f' -> word("false", false)
            'n' -> word("null", null)
            else -> number()
        }
    }

    private fun members(depth: Int): Map<String, Any?> {
        val found = LinkedHashMap<String, Any?>()
        list('}') {
            if (peek() != '"') fail("a name is expected")
            val name = string()
            skipSpace()
            take(':')
            val value = value(depth + 1)
            if (name in found) fail("\"$name\" comes twice")
            found[name] = value
        }
        return found
    }

    private fun items(depth: Int): List<Any?> {
        val found = ArrayList<Any?>()
        list(']') { found.add(value(depth + 1)) }
        return found
    }

    /** Calls [item] for each item up to [close], which is taken as well. */
    private inline fun list(close: Char, item: () -> Unit) {
        at++
        skipSpace()
        if (peek() == close) {
            at++
            return
        }
        while (true) {
            skipSpace()
            item()
            skipSpace()
            if (peek() == close) break
            take(',')
        }
        at++
    }

    private fun string(): String {
        at++
        val plain = at
        while (at < source.length && source[at].isPlain()) at++
        if (peek() == '"') return source.substring(plain, at++)
        val found = StringBuilder().append(source, plain, at)
        while (true) {
            val next = peek()
            at++
            when {
                next == '"' -> return found.toString()
                next == '\\' -> found.append(escaped())
                next < ' ' -> fail("a control character within a text")
                else -> found.append(next)
            }
        }
    }

    private fun Char.isPlain() = this >= ' ' && this != '"' && this != '\\'

    private fun escaped(): Char {
        val kind = peek()
        at++
        return when (kind) {
            '"', '\\', '/' -> kind
            'b' -> '\b'
            'f' -> '\u000c'
            'n' -> '\n'
            'r' -> '\r'
            't' -> '\t'
            'u' -> unit()
            else -> fail("an unknown escape")
        }
    }

    /** The four hexadecimal digits of a UTF-16 unit. */
    private fun unit(): Char {
        if (at + UNIT_DIGITS > source.length) fail("the document ends within an escape")
        var unit = 0
        repeat(UNIT_DIGITS) {
            val digit = Character.digit(source[at], HEXADECIMAL)
            if (digit < 0 || source[at] > 'f') fail("an escape that is not hexadecimal")
            unit = unit * HEXADECIMAL + digit
            at++
        }
        return unit.toChar()
    }

    private fun word(word: String, value: Any?): Any? {
        if (!source.startsWith(word, at)) fail("no JSON value")
        at += word.length
        return value
    }

    private fun number(): Double {
        val from = at
        if (peek() == '-') at++
        if (peek() == '0') at++ else digits()
        if (next() == '.') {
            at++
            digits()
        }
        if (next() == 'e' || next() == 'E') {
            at++
            if (next() == '+' || next() == '-') at++
            digits()
        }
        return source.substring(from, at).toDouble()
    }

    private fun digits() {
        if (next() !in '0'..'9') fail("no JSON value")
        while (next() in '0'..'9') at++
    }

    private fun skipSpace() {
        while (at < source.length && source[at] in " \t\n\r") at++
    }

    private fun take(expected: Char) {
        if (peek() != expected) fail("'$expected' is expected")
        at++
    }

    private fun peek(): Char =
        if (at < source.length) source[at] else fail("the document ends early")

    /** As [peek], but a number may be the last thing of a document. */
    private fun next(): Char = if (at < source.length) source[at] else ' '

    private fun fail(reason: String): Nothing =
        throw ModelException("no valid JSON at character $at: $reason")

    private companion object {
        const val UNIT_DIGITS = 4
        const val HEXADECIMAL = 16

        // Our documents have 6 levels; a hostile one must not overflow the stack.
        const val DEEPEST = 64
    }
}
