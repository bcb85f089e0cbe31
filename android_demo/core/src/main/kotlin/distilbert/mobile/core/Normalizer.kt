// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

/** BERT's normalization: cleaning, spaces around Chinese characters, no accents, lower case. */
internal class Normalizer(private val description: TokenizerDescription) {
    /**
     * The normalized characters of the code points [from, to) of [text].
     *
     * @throws java.util.concurrent.CancellationException once [work] is taken back.
     */
    fun normalize(text: Aligned, from: Int, to: Int, work: Work = Work.ENDLESS): Aligned {
        val cleaned = clean(text, from, to, work)
        val bare = if (description.stripAccents) withoutMarks(cleaned) else cleaned
        return if (description.lowerCase) lowerCase(bare) else bare
    }

    private fun clean(text: Aligned, from: Int, to: Int, work: Work): Aligned {
        val found = Aligned(to - from)
        for (index in from until to) {
            work.step()
            val point = text[index]
            val kind = Characters.kind(point)
            if (description.cleanText && kind and Characters.REMOVED != 0) continue
            val isSpace = description.cleanText && kind and Characters.SPACE != 0
            val cleaned = if (isSpace) ' '.code else point
            split(cleaned, kind, text.start(index), text.end(index), found)
        }
        return found
    }

    private fun split(point: Int, kind: Int, start: Int, end: Int, found: Aligned) {
        val alone = description.splitCjk && kind and Characters.IDEOGRAPH != 0
        if (alone) found.add(' '.code, start, end)
        found.add(point, start, end)
        if (alone) found.add(' '.code, start, end)
    }

    /** Canonical decomposition (NFD) without the nonspacing marks. */
    private fun withoutMarks(source: Aligned): Aligned {
        if ((0 until source.size).all { source[it] < Characters.FIRST_DECOMPOSED }) return source
        val parts = decompose(source)
        val found = Aligned(parts.size)
        // Parts are aligned by their place, also where marks have changed places: each that is not
        // an addition stands for the next character of the source.
        var next = 0
        for (part in 0 until parts.size) {
            val from = if (parts.isAddition(part)) maxOf(0, next - 1) else next++
            if (Characters.kind(parts[part]) and Characters.MARK == 0) {
                found.add(parts[part], source.start(from), source.end(from))
            }
        }
        return found
    }

    private fun decompose(source: Aligned): DecomposedText {
        val found = DecomposedText(source.size + source.size / 2)
        for (index in 0 until source.size) {
            val parts = Characters.decomposition(source[index])
            if (parts == null) {
                found.add(source[index], isAddition = false)
            } else {
                parts.forEachIndexed { part, point -> found.add(point, isAddition = part > 0) }
            }
        }
        found.orderMarks()
        return found
    }

    private fun lowerCase(source: Aligned): Aligned {
        val found = Aligned(source.size)
        for (index in 0 until source.size) {
            val point = source[index]
            val lower = Characters.lower(point)
            if (lower == null) {
                found.add(point, source.start(index), source.end(index))
            } else {
                lower.forEach { found.add(it, source.start(index), source.end(index)) }
            }
        }
        return found
    }
}

/** Decomposed code points; an addition is one that its character's first part brought along. */
private class DecomposedText(capacity: Int) {
    private var packed = IntArray(capacity)

    var size = 0
        private set

    fun add(point: Int, isAddition: Boolean) {
        if (size == packed.size) packed = packed.copyOf(size * 2 + 1)
        packed[size++] = if (isAddition) point or ADDITION else point
    }

    operator fun get(index: Int): Int = packed[index] and ADDITION.inv()

    fun isAddition(index: Int): Boolean = packed[index] and ADDITION != 0

    /**
     * Sorts each run of marks by combining class, equals in their order (Unicode, D108), in a time
     * that grows with the length of the text, however long a run is.
     */
    fun orderMarks() {
        var from = 0
        while (from < size) {
            var to = from
            while (to < size && order(to) != 0) to++
            if (to - from > 1) sort(from, to)
            from = to + 1
        }
    }

    /** Sorts the marks [from, to) by counting the classes, of which there are 254. */
    private fun sort(from: Int, to: Int) {
        val orders = IntArray(to - from) { order(from + it) }
        if (orders.indices.all { it == 0 || orders[it - 1] <= orders[it] }) return
        val places = IntArray(orders.max() + 2)
        for (order in orders) places[order + 1]++
        for (order in 1 until places.size) places[order] += places[order - 1]
        val marks = packed.copyOfRange(from, to)
        orders.forEachIndexed { index, order -> packed[from + places[order]++] = marks[index] }
    }

    private fun order(index: Int) = Characters.combiningClass(this[index])

    private companion object {
        const val ADDITION = 1 shl 30
    }
}
