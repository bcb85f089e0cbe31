// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

/**
 * Code points, or ids of word pieces, each with the range [start, end) of what it was made from.
 *
 * Normalizing drops, adds and replaces characters; ranges of the original text's UTF-16 units lead
 * back to what the user sees.
 */
internal class Aligned(capacity: Int) {
    private var numbers = IntArray(capacity)
    private var starts = IntArray(capacity)
    private var ends = IntArray(capacity)

    var size = 0
        private set

    fun add(number: Int, start: Int, end: Int) {
        if (size == numbers.size) {
            val larger = maxOf(SMALLEST, size * 2)
            numbers = numbers.copyOf(larger)
            starts = starts.copyOf(larger)
            ends = ends.copyOf(larger)
        }
        numbers[size] = number
        starts[size] = start
        ends[size++] = end
    }

    operator fun get(index: Int): Int = numbers[index]

    fun start(index: Int): Int = starts[index]

    fun end(index: Int): Int = ends[index]

    /** The code points [from, to) as a text. */
    fun text(from: Int, to: Int): String = String(numbers, from, to - from)

    fun pieces() = Pieces(numbers.copyOf(size), starts.copyOf(size), ends.copyOf(size))

    companion object {
        private const val SMALLEST = 16

        /** The code points of [text], each with its own UTF-16 units. */
        fun of(text: String): Aligned {
            val found = Aligned(text.length)
            var at = 0
            while (at < text.length) {
                val point = text.codePointAt(at)
                val end = at + Character.charCount(point)
                found.add(point, at, end)
                at = end
            }
            return found
        }
    }
}
