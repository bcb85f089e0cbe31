// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.testing

/** Counts what was compared, and fails at the end with the first differences. */
class Comparison(private val what: String) {
    private var compared = 0
    private val differences = ArrayList<String>()

    /** One more that is equal or has this [difference]. */
    fun check(isEqual: Boolean, difference: () -> String) {
        compared++
        if (!isEqual) differences.add(difference())
    }

    /** Prints the counts; throws an AssertionError if anything differs. */
    fun finish() {
        println("$what: $compared compared, ${differences.size} differ")
        if (differences.isEmpty()) return
        val shown = differences.take(SHOWN).joinToString("\n")
        throw AssertionError("$what: ${differences.size} of $compared differ\n$shown")
    }

    private companion object {
        const val SHOWN = 10
    }
}

/** Characters beyond ASCII as escapes, for a difference that can be read. */
fun String.escaped() =
    map { if (it in ' '..'~') it.toString() else "\\u%04x".format(it.code) }.joinToString("")
