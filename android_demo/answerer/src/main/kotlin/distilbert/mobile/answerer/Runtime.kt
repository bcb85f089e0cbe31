// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import android.os.Build
import distilbert.mobile.core.ErrorKind
import distilbert.mobile.core.ModelDescription
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.ModelFile
import org.tensorflow.lite.TensorFlowLite

/**
 * A runtime as `min_runtime` of `model.json` counts it.
 *
 * LiteRT goes on with TensorFlow Lite's numbers inside: its library calls itself 2.18 and later.
 *
 * @property version its release, such as "2.16.1".
 */
internal class Runtime(val version: String) {
    private val name = if (numbers(version).first() < 2) LITERT else TENSORFLOW_LITE

    /** Whether it computes [file] right, as far as its build knows. */
    fun computes(file: ModelFile): Boolean =
        file.minRuntime[name]?.let { compare(numbers(version), numbers(it)) >= 0 } ?: false

    /**
     * What to do about a file that this runtime refuses or computes wrong: to take the one that
     * asks least of a runtime, the smallest of several, or to build such a one.
     */
    fun insteadOf(file: ModelFile, description: ModelDescription): String {
        val leastDemanding =
            compareBy<ModelFile, List<Int>>(::compare) { numbers(it.minRuntime.getValue(name)) }
        val better =
            description.files.values
                .filter { it !== file && computes(it) }
                .minWithOrNull(leastDemanding.thenBy { it.bytes })
        return better?.let { "ship ${it.path} instead" }
            ?: "ship the precision int8-per-tensor or fp16 of the same build, or a newer LiteRT"
    }

    override fun toString() =
        when {
            name == LITERT -> "$LITERT $version"
            compare(numbers(version), LAST_TENSORFLOW_LITE) > 0 -> "$LITERT ($name $version)"
            else -> "$name $version"
        }

    companion object {
        private const val LITERT = "LiteRT"
        private const val TENSORFLOW_LITE = "TensorFlow Lite"
        private val LAST_TENSORFLOW_LITE = listOf(2, 16, Int.MAX_VALUE)

        /**
         * The one in this app.
         *
         * @throws ModelException if the app has no library of it for this processor.
         */
        fun current(): Runtime =
            try {
                Runtime(TensorFlowLite.runtimeVersion())
            } catch (error: UnsatisfiedLinkError) {
                throw ModelException(
                    "the app has no TensorFlow Lite library for ${processor()}: add its ABI to " +
                        "abiFilters",
                    error,
                    ErrorKind.RUNTIME,
                )
            }

        /** This device's instruction set and chip, for a message. */
        fun processor(): String {
            val chip =
                if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.S) {
                    "${Build.SOC_MANUFACTURER} ${Build.SOC_MODEL}"
                } else {
                    Build.HARDWARE
                }
            return "${Build.SUPPORTED_ABIS.firstOrNull() ?: "an unknown processor"} ($chip)"
        }

        /** "2.17.0-rc1" as 2, 17, 0. */
        private fun numbers(version: String): List<Int> =
            version.split('.').map { part -> part.takeWhile(Char::isDigit).toIntOrNull() ?: 0 }

        private fun compare(one: List<Int>, other: List<Int>): Int =
            (0 until maxOf(one.size, other.size))
                .map { (one.getOrNull(it) ?: 0).compareTo(other.getOrNull(it) ?: 0) }
                .firstOrNull { it != 0 } ?: 0
    }
}
