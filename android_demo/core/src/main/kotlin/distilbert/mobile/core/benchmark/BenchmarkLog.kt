// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

import java.util.Locale

/** The lines that a benchmark writes to the log, for a program at the other end of adb. */
object BenchmarkLog {
    const val TAG = "DistilbertBenchmark"

    // A line of Android's log takes about 4,000 bytes, its header included.
    private const val CHUNK = 3000

    fun begin(runId: String) = "BEGIN $runId"

    fun progress(runId: String, progress: Progress.Asking) =
        String.format(
            Locale.ROOT,
            "PROGRESS %s %d/%d %.1f s",
            runId,
            progress.done,
            progress.of,
            progress.seconds,
        )

    /** The document in pieces; [document] is ASCII, so a character is a byte. */
    fun json(runId: String, document: String): List<String> {
        val pieces = document.chunked(CHUNK)
        return pieces.mapIndexed {
            index,
            piece,
            ->
            "JSON $runId ${index + 1}/${pieces.size} $piece"
        }
    }

    fun done(runId: String, path: String) = "DONE $runId $path"

    /** [reason] becomes one line. */
    fun failed(runId: String, reason: String) =
        "FAILED $runId ${reason.split(Regex("\\s+")).joinToString(" ").take(CHUNK)}"
}
