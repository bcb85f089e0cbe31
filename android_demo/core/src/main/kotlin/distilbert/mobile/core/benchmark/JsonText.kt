// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

/**
 * A JSON document on one line, in ASCII: it goes through logs, whose lines are cut by bytes.
 *
 * @param value maps with text keys, collections, arrays of doubles or integers, texts, finite
 *     numbers, booleans, null.
 * @throws IllegalArgumentException if it holds anything else.
 */
fun jsonText(value: Any?): String = StringBuilder().apply { appendValue(value) }.toString()

private fun StringBuilder.appendValue(value: Any?) {
    when (value) {
        null, is Boolean, is Int, is Long -> append(value.toString())
        is Float, is Double -> appendNumber((value as Number).toDouble())
        is String -> appendText(value)
        is Map<*, *> -> {
            appendAll('{', value.entries, '}') { (name, member) ->
                appendText(name as? String ?: throw IllegalArgumentException("the name $name"))
                append(':')
                appendValue(member)
            }
        }
        is Collection<*> -> appendAll('[', value, ']') { appendValue(it) }
        is DoubleArray -> appendValue(value.asList())
        is IntArray -> appendValue(value.asList())
        else -> throw IllegalArgumentException("JSON holds no ${value.javaClass.name}")
    }
}

private fun StringBuilder.appendNumber(value: Double) {
    require(value.isFinite()) { "JSON holds no $value" }
    append(value.toString())
}

private fun <T> StringBuilder.appendAll(
    open: Char,
    items: Collection<T>,
    close: Char,
    appendOne: (T) -> Unit,
) {
    append(open)
    items.forEachIndexed { index, item ->
        if (index > 0) append(',')
        appendOne(item)
    }
    append(close)
}

private fun StringBuilder.appendText(text: String) {
    append('"')
    for (unit in text) {
        when (unit) {
            '"', '\\' -> append('\\').append(unit)
            in ' '..'~' -> append(unit)
            else -> append("\\u").append(unit.code.toString(HEXADECIMAL).padStart(DIGITS, '0'))
        }
    }
    append('"')
}

private const val HEXADECIMAL = 16
private const val DIGITS = 4
