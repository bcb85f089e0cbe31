// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.core.Json
import distilbert.mobile.core.digest
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
    fun copy(folder: File, of: File = Builds.tiny): File = of.copyRecursively(folder).let { folder }

    /** Changes a document, which then has a digest that fits. */
    fun edit(file: File, change: (String) -> String) {
        val text = change(file.readText())
        val digest = Json.parse(text).digest()
        file.writeText(text.replace(Regex("(\"digest\": ?)\"[0-9a-f]*\""), "$1\"$digest\""))
    }
}

/** Loads the runtime, or skips the test with the reason. */
internal fun assumeRuntime() {
    HostRuntime.missing?.let { println("skipped: $it") }
    assumeTrue(HostRuntime.missing, HostRuntime.missing == null)
    HostRuntime.load()
}
