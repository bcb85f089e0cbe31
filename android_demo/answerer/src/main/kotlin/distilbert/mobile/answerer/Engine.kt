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

/** An open file in its runtime. One thread at a time calls it, not always the same one. */
interface EngineModel :
    Predictor,
    AutoCloseable {
    /** The runtime by name and version, such as "TensorFlow Lite 2.16.1". */
    val runtime: String

    /** What an app can do where this runtime computes the file wrong, for the end of a sentence. */
    val remedy: String
}
