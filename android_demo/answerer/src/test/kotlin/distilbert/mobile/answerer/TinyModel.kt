// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.testing.Builds
import distilbert.mobile.testing.HostRuntime
import org.junit.Assume.assumeTrue
import java.io.File

/** The files of the tiny build, and copies of it to break. */
internal object TinyModel {
    const val RIGHT = "student-int8-per-tensor.tflite"
    const val REFUSED = "student-int8.tflite"
    const val MISREAD = "student-int8-misread.tflite"

    fun open(file: String = RIGHT) = QuestionAnswerer.fromFolder(Builds.tiny, file, threads = 1)

    /** A copy below [folder] to change. */
    fun copy(folder: File): File = Builds.tiny.copyRecursively(folder).let { folder }
}

/** Loads the runtime, or skips the test with the reason. */
internal fun assumeRuntime() {
    HostRuntime.missing?.let { println("skipped: $it") }
    assumeTrue(HostRuntime.missing, HostRuntime.missing == null)
    HostRuntime.load()
}
