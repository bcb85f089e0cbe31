// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import android.content.res.AssetManager
import distilbert.mobile.core.ModelDescription
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.ModelFile
import distilbert.mobile.core.Predictor
import java.nio.ByteBuffer

/**
 * A runtime that computes the files of a build. An app that brings its own one implements this
 * interface; the self-test says whether that runtime computes a file right.
 */
fun interface Engine {
    /**
     * Opens a file.
     *
     * @param source the file, whose digest fits where it was to be checked.
     * @throws ModelException if the runtime refuses the file, with the kind `RUNTIME`, or has not
     *   enough memory for it.
     */
    fun open(source: EngineSource): EngineModel

    companion object {
        /** LiteRT's `Interpreter`, which runs every file on the CPU. */
        @JvmField
        val INTERPRETER =
            Engine { TfLiteModel(it.bytes, it.file, it.description, it.threads) }

        /**
         * Opens a file several times, so that as many windows of a long passage run at a time, for
         * the same answers.
         *
         * The threads are shared out: each opened file computes with `threads / count` of them, at
         * least one. The bytes of the file are mapped once, but each opened file has its own packed
         * weights and buffers: beside the mapped bytes, it takes [count] times the memory of one. A
         * passage of one window, and a text to classify, gain nothing and run with fewer threads.
         *
         * The runtime has the name of that of [engine], so that [PassedTests] remembers a self-test
         * for both. The self-test runs on all opened files, as questions do.
         *
         * @param count how often, 1 to 64; 1 is [engine] itself.
         * @param engine opens the file each time.
         * @throws IllegalArgumentException if [count] is another number.
         */
        @JvmStatic
        @JvmOverloads
        fun parallel(count: Int, engine: Engine = INTERPRETER): Engine {
            require(count in 1..OpenModel.MOST_THREADS) {
                "$count windows at a time: allowed are 1 to ${OpenModel.MOST_THREADS}"
            }
            return if (count == 1) engine else ParallelEngine(count, engine)
        }
    }
}

/**
 * What an [Engine] opens.
 *
 * @property bytes of the file, mapped into memory.
 * @property assets the app's assets where the file is one of them; null for a file on disk.
 * @property path of the file among the assets or on disk.
 * @property file what `model.json` says of it.
 * @property description the rest of `model.json`.
 * @property threads how many the runtime may compute with.
 */
class EngineSource(
    val bytes: ByteBuffer,
    val assets: AssetManager?,
    val path: String,
    val file: ModelFile,
    val description: ModelDescription,
    val threads: Int,
)

/**
 * An open file in its runtime. As many threads at a time call it as [atOnce] says, one by default,
 * and not always the same ones.
 */
interface EngineModel :
    Predictor,
    AutoCloseable {
    /** The runtime by name and version, such as "TensorFlow Lite 2.16.1". */
    val runtime: String

    /** What an app can do where this runtime computes the file wrong, for the end of a sentence. */
    val remedy: String
}
