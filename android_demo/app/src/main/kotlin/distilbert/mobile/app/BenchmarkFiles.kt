// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.Context
import distilbert.mobile.core.benchmark.BenchmarkException
import distilbert.mobile.core.benchmark.BenchmarkPlan
import java.io.File
import java.io.FileOutputStream
import java.io.IOException
import java.nio.file.Files
import java.nio.file.StandardCopyOption.ATOMIC_MOVE

/** Where reports lie: the app's own folder on the storage that adb reads too. */
internal class BenchmarkFiles private constructor(private val folder: File) {
    /**
     * Writes a report; under its name it is whole.
     *
     * @throws BenchmarkException if there is no room for it.
     */
    fun write(runId: String, document: String): File {
        val file = File(folder, name(runId))
        val part = File(folder, "${file.name}.part")
        try {
            FileOutputStream(part).use {
                it.write(document.toByteArray())
                it.fd.sync()
            }
            Files.move(part.toPath(), file.toPath(), ATOMIC_MOVE)
        } catch (error: IOException) {
            part.delete()
            throw BenchmarkException("${file.path} cannot be written: ${error.message}", error)
        }
        return file
    }

    /** The report of that [name]; null if it is no report's, or there is none. */
    fun find(name: String): File? {
        val runId = name.removePrefix(PREFIX).removeSuffix(SUFFIX)
        val isReport = name == name(runId) && BenchmarkPlan.isRunId(runId)
        return File(folder, name).takeIf { isReport && it.isFile }
    }

    companion object {
        private const val PREFIX = "benchmark-"
        private const val SUFFIX = ".json"

        /** @throws BenchmarkException if the storage is not there. */
        fun of(context: Context): BenchmarkFiles =
            BenchmarkFiles(
                context.getExternalFilesDir(null)
                    ?: throw BenchmarkException(context.getString(R.string.benchmark_no_folder)),
            )

        private fun name(runId: String) = "$PREFIX$runId$SUFFIX"
    }
}
