// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

private const val NEXT_LINE = '\u0085'
private val NUMBERS = setOf(Character.LETTER_NUMBER.toInt(), Character.OTHER_NUMBER.toInt())

/**
 * Calls [action] with each run of characters that are all of a word or all of none, and its end.
 *
 * Not by `\b`: which characters are a word's differs between Java, Android and Python.
 */
internal inline fun String.forEachRun(action: (run: String, end: Int) -> Unit) {
    var at = 0
    while (at < length) {
        val isWord = isWordCharacter(codePointAt(at))
        var end = at
        while (end < length && isWordCharacter(codePointAt(end)) == isWord) {
            end += Character.charCount(codePointAt(end))
        }
        action(substring(at, end), end)
        at = end
    }
}

/** The text with each run of [forEachRun] replaced. */
internal inline fun String.mapRuns(change: (String) -> String): String {
    val found = StringBuilder()
    forEachRun { run, _ -> found.append(change(run)) }
    return found.toString()
}

/** The text without the code points that [isLeftOut]. */
internal inline fun String.withoutCodePoints(isLeftOut: (Int) -> Boolean): String {
    val found = StringBuilder()
    var at = 0
    while (at < length) {
        val point = codePointAt(at)
        if (!isLeftOut(point)) found.appendCodePoint(point)
        at += Character.charCount(point)
    }
    return found.toString()
}

/** The parts between spaces, as Python's `str.split` finds them. */
internal fun String.words(): List<String> {
    val found = ArrayList<String>()
    var from = 0
    for (at in 0..length) {
        if (at < length && !isSpace(this[at])) continue
        if (at > from) found.add(substring(from, at))
        from = at + 1
    }
    return found
}

/** What Python's `\w` takes. */
internal fun isWordCharacter(codePoint: Int) =
    Character.isLetterOrDigit(codePoint) ||
        codePoint == '_'.code ||
        Character.getType(codePoint) in NUMBERS

private fun isSpace(unit: Char) = unit.isWhitespace() || unit == NEXT_LINE
