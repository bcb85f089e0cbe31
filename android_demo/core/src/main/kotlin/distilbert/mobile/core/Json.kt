// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

/**
 * A value of a JSON document (RFC 8259) that knows its place, so that an error can name it.
 *
 * The reader is our own because Android carries an old `org.json` that an app cannot replace,
 * and a library with one dependency less is easier to take over.
 */
class Json private constructor(private val value: Any?, private val place: String) {
    /** What [JsonReader] made of it. */
    internal val raw: Any? get() = value

    /** The member [name] of an object. */
    operator fun get(name: String): Json =
        optional(name) ?: throw ModelException("$place lacks \"$name\"")

    /** The member [name] of an object, null where it is missing or `null`. */
    fun optional(name: String): Json? = members()[name]?.takeUnless { it.value == null }

    /** The members of an object in their order. */
    fun members(): Map<String, Json> {
        val members = value as? Map<*, *> ?: expected("an object")
        return members.entries.associate { (name, member) ->
            name as String to Json(member, if (place == ROOT) name else "$place.$name")
        }
    }

    /** The items of an array. */
    fun items(): List<Json> = list().mapIndexed { index, item -> Json(item, "$place[$index]") }

    /**
     * The name of a file beside the document.
     *
     * A downloaded document must not name files outside of its folder.
     */
    fun fileName(): String = text().also(::requireFileName)

    /** Refuses a [name] of a file that is none, in any system, or a path. */
    internal fun requireFileName(name: String) {
        val isPlain =
            name.isNotEmpty() &&
                name.toByteArray().size <= LONGEST_NAME &&
                name.first() !in HIDING &&
                name.last() !in CUT_OFF &&
                name.none { it in FORBIDDEN } &&
                name.codePoints().allMatch(::isPrintable)
        if (!isPlain) expected("the name of a file in the same folder")
    }

    private fun isPrintable(point: Int) =
        point == ' '.code || Character.getType(point).toByte() !in UNPRINTABLE

    /** Refuses this value, of which [what] was expected. */
    internal fun refuse(what: String): Nothing = expected(what)

    /** A string. */
    fun text(): String = value as? String ?: expected("a text")

    /** `true` or `false`. */
    fun flag(): Boolean = value as? Boolean ?: expected("true or false")

    /** A number. */
    fun number(): Double = value as? Double ?: expected("a number")

    /** A whole number that fits 32 bits. */
    fun integer(): Int = integer(value)

    /** An array of whole numbers that fit 32 bits. */
    fun integers(): IntArray = list().let { list -> IntArray(list.size) { integer(list[it]) } }

    /** An array of numbers as float32. */
    fun floats(): FloatArray =
        list().let { list ->
            FloatArray(list.size) { (list[it] as? Double ?: expected("numbers")).toFloat() }
        }

    private fun list(): List<*> = value as? List<*> ?: expected("an array")

    private fun integer(value: Any?): Int =
        (value as? Double)?.toInt()?.takeIf { it.toDouble() == value } ?: expected("a whole number")

    private fun expected(what: String): Nothing {
        val found =
            when (value) {
                is Map<*, *> -> "an object"
                is List<*> -> "an array"
                is String -> "\"${value.take(SHOWN)}\""
                else -> value.toString()
            }
        throw ModelException("$place: expected $what, found $found")
    }

    companion object {
        private const val ROOT = "the document"
        private const val SHOWN = 40
        private const val FORBIDDEN = "/\\:*?\"<>|"

        /** What hides a file or looks like an option at its beginning; Windows cuts off at the end. */
        private const val HIDING = ".- "
        private const val CUT_OFF = ". "

        /** Bytes of a name that every file system takes. */
        private const val LONGEST_NAME = 255
        private val UNPRINTABLE =
            setOf(
                Character.CONTROL,
                Character.FORMAT,
                Character.SURROGATE,
                Character.PRIVATE_USE,
                Character.UNASSIGNED,
                Character.SPACE_SEPARATOR,
                Character.LINE_SEPARATOR,
                Character.PARAGRAPH_SEPARATOR,
            )

        /**
         * Reads a document.
         *
         * @throws ModelException if it is not JSON.
         */
        fun parse(document: String): Json = Json(JsonReader(document).document(), ROOT)
    }
}
