// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

import java.math.BigDecimal
import java.math.MathContext
import java.math.RoundingMode
import java.nio.ByteBuffer
import kotlin.math.abs
import kotlin.math.round

/** What to do about a file that is not the build's. */
internal const val COPY_AGAIN =
    "copy or download the whole folder again, or open it with verify = false if you changed it " +
        "on purpose"

/**
 * The SHA-256, in hexadecimal, of a document without its member `digest`, in the canonical form of
 * RFC 8785. The layout of a file changes nothing. It notices accidents; it is no signature.
 *
 * @throws ModelException if the document is no object, or holds half a surrogate pair or an infinite
 *   number, for which there is no such form.
 */
fun Json.digest(): String {
    members() // of an object only
    val members = (raw as Map<*, *>).filterKeys { it != DIGEST }
    return ByteBuffer.wrap(Canonical.write(members).toByteArray()).sha256()
}

/**
 * Refuses a document of [file] that is not the one whose digest it carries.
 *
 * @throws ModelException if it was changed, or carries no digest.
 */
fun Json.requireSeal(file: String) {
    val stated =
        optional(DIGEST)?.text()
            ?: throw ModelException("$file states no digest of itself: $COPY_AGAIN")
    val found = digest()
    if (found != stated) throw changed(file, found, "it states", stated)
}

/**
 * Refuses [bytes] that are not the file that `model.json` states.
 *
 * @throws ModelException if their digest is another one.
 */
fun ModelFile.requireDigest(bytes: ByteBuffer) {
    val found = bytes.sha256()
    if (found != sha256) throw changed(path, found, "model.json states", sha256)
}

/** The error of a [file] whose digest is not the [stated] one. */
private fun changed(file: String, found: String, source: String, stated: String) =
    ModelException(
        "$file is damaged or was changed: its digest is ${found.take(SHOWN)}..., and $source " +
            "${stated.take(SHOWN)}...; $COPY_AGAIN",
    )

internal const val DIGEST = "digest"
private const val SHOWN = 12

/** Writes what [JsonReader] reads in the form of RFC 8785. */
internal object Canonical {
    /** Up to here and from there ECMAScript prints a number without an exponent. */
    private const val PLAIN_DIGITS = 21
    private const val PLAIN_ZEROS = 6

    /** Every number of up to so many digits is the shortest of its double. */
    private const val SURE = 1e15
    private const val DECIMALS = 6
    private const val SCALE = 1e6
    private const val MOST_DIGITS = 17
    private val ESCAPES =
        mapOf(
            '"' to "\\\"",
            '\\' to "\\\\",
            '\b' to "\\b",
            '\u000c' to "\\f",
            '\n' to "\\n",
            '\r' to "\\r",
            '\t' to "\\t",
        )

    fun write(value: Any?): String = StringBuilder().also { write(value, it) }.toString()

    private fun write(value: Any?, to: StringBuilder) {
        when (value) {
            is Map<*, *> -> {
                to.append('{')
                val names = value.keys.map { it as String }.sorted() // by UTF-16 units
                names.forEachIndexed { place, name ->
                    if (place > 0) to.append(',')
                    text(name, to)
                    to.append(':')
                    write(value[name], to)
                }
                to.append('}')
            }

            is List<*> -> {
                to.append('[')
                value.forEachIndexed { place, item ->
                    if (place > 0) to.append(',')
                    write(item, to)
                }
                to.append(']')
            }

            is String -> text(value, to)

            is Double -> to.append(number(value))

            else -> to.append(value)
        }
    }

    private fun text(text: String, to: StringBuilder) {
        to.append('"')
        var at = 0
        while (at < text.length) {
            val unit = text[at]
            val escape = ESCAPES[unit]
            when {
                escape != null -> to.append(escape)
                unit < ' ' -> to.append("\\u%04x".format(unit.code))
                unit.isSurrogate() -> {
                    val isPair =
                        unit.isHighSurrogate() && text.getOrNull(at + 1)?.isLowSurrogate() == true
                    if (!isPair) throw ModelException("a text holds half a surrogate pair")
                    to.append(unit).append(text[++at])
                }
                else -> to.append(unit)
            }
            at++
        }
        to.append('"')
    }

    /** A number as ECMAScript prints it. */
    fun number(value: Double): String {
        if (value.isNaN() || value.isInfinite()) throw ModelException("a number is too large")
        if (value == 0.0) return "0"
        val decimal = shortest(abs(value))
        val digits = decimal.unscaledValue().toString()
        val point = digits.length - decimal.scale() // digits before the decimal point
        val text =
            when (point) {
                in digits.length..PLAIN_DIGITS -> digits + "0".repeat(point - digits.length)
                in 1..PLAIN_DIGITS -> digits.take(point) + "." + digits.drop(point)
                in 1 - PLAIN_ZEROS..0 -> "0." + "0".repeat(-point) + digits
                else -> {
                    val rest = if (digits.length > 1) "." + digits.drop(1) else ""
                    val sign = if (point > 0) "+" else ""
                    "${digits.take(1)}${rest}e$sign${point - 1}"
                }
            }
        return if (value < 0) "-$text" else text
    }

    /** The decimal number with the fewest digits that is read as [value], without zeros at its end. */
    private fun shortest(value: Double): BigDecimal {
        val scaled = round(value * SCALE)
        if (scaled < SURE && scaled / SCALE == value) {
            return BigDecimal.valueOf(scaled.toLong(), DECIMALS).stripTrailingZeros()
        }
        val exact = BigDecimal(value)
        for (digits in 1 until MOST_DIGITS) {
            val rounded = exact.round(MathContext(digits, RoundingMode.HALF_EVEN))
            if (rounded.toDouble() == value) return rounded.stripTrailingZeros()
        }
        return exact.round(MathContext(MOST_DIGITS, RoundingMode.HALF_EVEN)).stripTrailingZeros()
    }
}
