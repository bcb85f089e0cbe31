// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.testing

import java.io.File

/** TensorFlow Lite's x86-64 Android library, made loadable into this machine's JVM. */
object HostRuntime {
    private val folder = File(System.getProperty("host.runtime") ?: "none").canonicalFile

    /** Why the library cannot be loaded here; null if it can. */
    val missing: String? =
        when {
            folder.resolve("libtensorflowlite_jni.so").isFile -> null
            else -> "no TensorFlow Lite in $folder: it is built on x86-64 Linux with gcc"
        }

    private val loaded by lazy {
        // TensorFlow Lite's own loader finds the rest on java.library.path.
        listOf("libc", "libm", "libdl", "liblog").forEach {
            System.load(folder.resolve("$it.so").path)
        }
    }

    /** Loads what the library needs; call it before the first use of TensorFlow Lite. */
    fun load() = loaded
}
