// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

/** A model, or a file that belongs to it, cannot be used; the message says why in one sentence. */
class ModelException(message: String, cause: Throwable? = null) : Exception(message, cause)
