// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

/** A model, or a file that belongs to it, cannot be used; the message says why in one sentence. */
class ModelException(message: String, cause: Throwable? = null) : Exception(message, cause)

/** What [read] gives; its errors name the [file] that is read. */
internal fun <T> readingFile(file: String, read: () -> T): T =
    try {
        read()
    } catch (error: ModelException) {
        val message = error.message.orEmpty()
        throw if (file in message) error else ModelException("$file: $message", error)
    }
