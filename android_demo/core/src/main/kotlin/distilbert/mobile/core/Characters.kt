// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

/**
 * What the tokenizer needs to know of each character.
 *
 * The tables come with the library, as the tokenizer in training has them: Java's own know another
 * Unicode version on every Android release, and would cut some texts otherwise.
 */
internal object Characters {
    /** Dropped where texts are cleaned. */
    const val REMOVED = 1

    /** White space. */
    const val SPACE = 2

    /** A word by itself. */
    const val PUNCTUATION = 4

    /** A Chinese character. */
    const val IDEOGRAPH = 8

    /** A nonspacing mark, such as an accent. */
    const val MARK = 16

    /** No character before this one has a decomposition or is a mark. */
    const val FIRST_DECOMPOSED = 0xC0

    private const val ASCII = 0x80

    private val kinds: Ranges
    private val words: Ranges
    private val combining: Ranges
    private val lowered: Mappings
    private val decomposed: Mappings
    private val asciiKinds: ByteArray

    init {
        val stream =
            checkNotNull(Characters::class.java.getResourceAsStream(TABLES)) { "see requireTables" }
        val tables =
            stream
                .use { it.readBytes() }
                .toString(Charsets.UTF_8)
                .lineSequence()
                .filter { it.isNotEmpty() && it[0] != '#' }
                .associate { it.substringBefore(' ') to it.substringAfter(' ') }
        kinds = Ranges(tables.getValue("kinds"))
        words = Ranges(tables.getValue("words"))
        combining = Ranges(tables.getValue("combining"))
        lowered = Mappings(tables.getValue("lower"))
        decomposed = Mappings(tables.getValue("decomposed"))
        asciiKinds = ByteArray(ASCII) { kinds[it].toByte() }
    }

    /** A sum of the kinds above. */
    fun kind(point: Int): Int = if (point < ASCII) asciiKinds[point].toInt() else kinds[point]

    /** Whether an added token beside [point] is no single word. */
    fun isWord(point: Int): Boolean = words[point] != 0

    /** Canonical combining class. */
    fun combiningClass(point: Int): Int = if (point < FIRST_DECOMPOSED) 0 else combining[point]

    /** The lower-case characters, null where [point] is its own. */
    fun lower(point: Int): IntArray? =
        if (point >= ASCII || point in ASCII_CAPITALS) lowered[point] else null

    /** The full canonical decomposition, null where [point] is its own. */
    fun decomposition(point: Int): IntArray? =
        when {
            point < FIRST_DECOMPOSED -> null
            point in Hangul.SYLLABLES -> Hangul.decomposition(point)
            else -> decomposed[point]
        }

    private val ASCII_CAPITALS = 'A'.code..'Z'.code
}

/** From the root: R8 renames this package's classes, and not the resource. */
private const val TABLES = "/distilbert/mobile/core/characters.txt"

/**
 * To be called before [Characters] is used, which cannot throw what an app expects.
 *
 * @throws ModelException if the app was packed without the library's tables.
 */
internal fun requireTables() {
    if (WordPieceTokenizer::class.java.getResource(TABLES) != null) return
    throw ModelException(
        "the app lacks $TABLES: keep the Java resources of its libraries",
        kind = ErrorKind.MISSING,
    )
}

/** Korean syllables decompose by arithmetic (Unicode, section 3.12). */
private object Hangul {
    val SYLLABLES = 0xAC00..0xD7A3
    private const val LEADING = 0x1100
    private const val VOWEL = 0x1161
    private const val BEFORE_TRAILING = 0x11A7
    private const val VOWELS = 21
    private const val TRAILINGS = 28

    fun decomposition(point: Int): IntArray {
        val index = point - SYLLABLES.first
        val leading = LEADING + index / (VOWELS * TRAILINGS)
        val vowel = VOWEL + index / TRAILINGS % VOWELS
        val trailing = BEFORE_TRAILING + index % TRAILINGS
        return if (trailing == BEFORE_TRAILING) {
            intArrayOf(leading, vowel)
        } else {
            intArrayOf(leading, vowel, trailing)
        }
    }
}

/**
 * A number for each character, from `first-last:number ...`, hexadecimal, or 1 from `first-last ...`;
 * 0 elsewhere.
 */
private class Ranges(table: String) {
    private val firsts: IntArray
    private val lasts: IntArray
    private val numbers: IntArray

    init {
        val entries = table.split(' ')
        firsts = IntArray(entries.size) { entries[it].substringBefore('-').toInt(HEXADECIMAL) }
        lasts =
            IntArray(entries.size) {
                entries[it].substringAfter('-').substringBefore(':').toInt(HEXADECIMAL)
            }
        numbers = IntArray(entries.size) { entries[it].substringAfter(':', "1").toInt(HEXADECIMAL) }
    }

    operator fun get(point: Int): Int {
        val found = firsts.binarySearch(point)
        val range = if (found >= 0) found else -found - 2
        return if (range >= 0 && point <= lasts[range]) numbers[range] else 0
    }
}

/** Characters for a character, from `from:to,to ...`, hexadecimal. */
private class Mappings(table: String) {
    private val keys: IntArray
    private val values: Array<IntArray>

    init {
        val entries = table.split(' ')
        keys = IntArray(entries.size) { entries[it].substringBefore(':').toInt(HEXADECIMAL) }
        values =
            Array(entries.size) { entry ->
                val points = entries[entry].substringAfter(':').split(',')
                IntArray(points.size) { points[it].toInt(HEXADECIMAL) }
            }
    }

    operator fun get(point: Int): IntArray? = values.getOrNull(keys.binarySearch(point))
}

private const val HEXADECIMAL = 16
