// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

/**
 * A model, or a file that belongs to it, cannot be used; the message says why in one sentence, which
 * is one line whatever the file holds.
 *
 * It is unchecked, so that callers in Java can catch it or let it pass as callers in Kotlin do.
 *
 * @property kind what an app can do about it.
 */
class ModelException
    @JvmOverloads
    constructor(
        message: String,
        cause: Throwable? = null,
        val kind: ErrorKind = ErrorKind.DAMAGED,
    ) : RuntimeException(message.oneLine(), cause)

private val BREAKS =
    setOf(
        CharCategory.CONTROL,
        CharCategory.FORMAT,
        CharCategory.LINE_SEPARATOR,
        CharCategory.PARAGRAPH_SEPARATOR,
    )

/** The text with blanks in place of what ends a line, or changes the order or color of characters. */
private fun String.oneLine(): String = map(::visible).joinToString("")

private fun visible(letter: Char) = if (letter.category in BREAKS) ' ' else letter

/** What an app can do about a [ModelException]. */
enum class ErrorKind {
    /** A file is missing or cannot be read: copy or download the folder again. */
    MISSING,

    /** Files are damaged, or are not of the same build: copy or download the folder again. */
    DAMAGED,

    /** The files are of another version or for another task: update the app or the model. */
    UNSUPPORTED,

    /** The app's runtime refuses the file or computes no numbers: use another file of the build. */
    RUNTIME,

    /** There is too little memory: close other models or apps, or use a smaller file. */
    MEMORY,

    /** A server cannot be reached or stops sending: download again later, and it goes on. */
    NETWORK,
}

/** What [read] gives; its errors name the [file] that is read. */
internal fun <T> readingFile(file: String, read: () -> T): T =
    try {
        read()
    } catch (error: ModelException) {
        val message = error.message.orEmpty()
        throw if (file in message) error else ModelException("$file: $message", error, error.kind)
    }
