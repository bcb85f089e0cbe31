// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.res.Resources
import android.os.Build
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.benchmark.BenchmarkException

/** A sentence for the user, in whatever language the screen has when it is shown. */
class Message(private val id: Int, private vararg val parts: Any) {
    /** The sentence. */
    fun text(resources: Resources): String = resources.getString(id, *parts)

    companion object {
        /** A sentence as it is. */
        fun verbatim(sentence: String) = Message(R.string.verbatim, sentence)

        /**
         * What to say of [error]: what is known to go wrong has a sentence of its own.
         *
         * @param outOfMemory the one for too little memory, which depends on what was done.
         */
        fun of(error: Throwable, outOfMemory: Int): Message =
            when (error) {
                is ModelException, is BenchmarkException -> verbatim(error.message.orEmpty())
                is OutOfMemoryError -> Message(outOfMemory)
                is LinkageError -> Message(R.string.no_library, Build.SUPPORTED_ABIS.joinToString())
                else -> Message(R.string.unexpected, error.message ?: error.javaClass.simpleName)
            }
    }
}
