// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import android.content.Context
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.ModelFile
import distilbert.mobile.core.Predictor
import distilbert.mobile.core.WordPieceTokenizer
import distilbert.mobile.core.sha256
import distilbert.mobile.core.spans.Answer
import distilbert.mobile.core.spans.Answerer
import distilbert.mobile.core.spans.GoldenCase
import distilbert.mobile.core.spans.SpanDescription
import java.io.File
import java.nio.ByteBuffer
import java.util.Locale
import java.util.concurrent.CancellationException
import java.lang.Runtime as JavaRuntime

/**
 * A question answering model of `pipeline.build`, opened: passage and question in, answer out.
 *
 * ```
 * val answerer = QuestionAnswerer.fromAssets(context)
 * if (answerer.selfTest().isPassed) answerer.answer(passage, question).text
 * ```
 *
 * Opening takes a tenth of a second and more, an answer some milliseconds a window of the passage:
 * call both on a thread of your own. It may be called from any number of threads; one question is
 * answered at a time, the others wait. [close] frees the runtime's memory.
 *
 * @property description what `model.json` says.
 * @property file the one that is open.
 */
class QuestionAnswerer private constructor(
    private val folder: ModelFolder,
    val description: SpanDescription,
    val file: ModelFile,
    private val tokenizer: WordPieceTokenizer,
    private val bytes: ByteBuffer,
    threads: Int,
) : AutoCloseable {
    private val model = TfLiteModel(bytes, file, description, threads)
    private val answerer = answerer(model)
    private val lock = Any()

    @Volatile
    private var isClosed = false

    /** The runtime in this app by name and version, such as "TensorFlow Lite 2.16.1". */
    val runtime = model.runtime.toString()

    /**
     * The best answer in the whole passage, which is cut into as many windows as it needs.
     *
     * @param passage of any length, also empty.
     * @param question of any length; word pieces beyond `max_query` are cut off.
     * @param padTo pad every window to so many word pieces; null runs each at its own length.
     * @param isCancelled asked before each window, on the calling thread.
     * @return its text is empty for "no answer"; its range counts UTF-16 units of [passage].
     * @throws CancellationException once [isCancelled] says so, or [close] is called meanwhile.
     * @throws ModelException if the runtime fails.
     * @throws IllegalStateException after [close].
     */
    fun answer(
        passage: String,
        question: String,
        padTo: Int? = null,
        isCancelled: () -> Boolean = { false },
    ): Answer =
        alone {
            answerer.answer(passage, question, padTo) { isClosed || isCancelled() }
        }

    /**
     * Answers the build's golden cases on this device and reads the file once to check its digest:
     * some runtimes open a file and compute something else without an error. Do it at first start
     * and after an update of the app; ask nothing where it is not passed.
     *
     * @param isCancelled asked before each window, on the calling thread.
     * @param onProgress told after each case how many are done, of how many.
     * @throws CancellationException once [isCancelled] says so, or [close] is called meanwhile.
     * @throws ModelException if the golden cases, or this file's answers in them, are missing, or
     *   the file is not the one that `model.json` names.
     * @throws IllegalStateException after [close].
     */
    fun selfTest(
        isCancelled: () -> Boolean = { false },
        onProgress: (done: Int, of: Int) -> Unit = { _, _ -> },
    ): SelfTest =
        alone {
            if (bytes.sha256() != file.sha256) throw otherFile("another digest")
            val cases = GoldenCase.parse(folder.text(description.golden))
            val comparison = GoldenComparison(file.path, description, model, ::answerer)
            cases.forEachIndexed { index, case ->
                comparison.add(case) { isClosed || isCancelled() }
                onProgress(index + 1, cases.size)
            }
            val problem = if (comparison.isRight) null else problem(comparison, cases.size)
            SelfTest(cases.size, comparison.largestError, comparison.nearTies, problem)
        }

    /** Stops the question that is being answered and frees the runtime; twice is once. */
    override fun close() {
        isClosed = true
        synchronized(lock) { model.close() }
    }

    private fun <T> alone(work: () -> T): T =
        synchronized(lock) {
            check(!isClosed) { "this QuestionAnswerer is closed: open another" }
            work()
        }

    private fun answerer(model: Predictor) = Answerer(description, tokenizer, model)

    private fun problem(comparison: GoldenComparison, cases: Int): String {
        val differ = comparison.different + comparison.nearTies
        val percent = "%.0f".format(Locale.ROOT, comparison.largestError * PERCENT)
        return "${file.path} is computed wrong by $runtime on ${Runtime.processor()}: $differ of " +
            "$cases golden cases differ, logits by up to $percent % of their range; " +
            model.runtime.insteadOf(file, description)
    }

    private fun otherFile(why: String) = otherFile(file, why)

    companion object {
        private const val PERCENT = 100
        private const val FAST_CORES = 4

        /**
         * Opens a model among the app's assets, where `.tflite` files must not be compressed
         * (`androidResources.noCompress += "tflite"`).
         *
         * @param folder where `model.json` and what it names lie.
         * @param file the path in `model.json` of the file to open; its default if null.
         * @param threads how many the runtime computes with.
         * @throws ModelException if something is missing or damaged, or the runtime refuses it.
         */
        fun fromAssets(
            context: Context,
            folder: String = "model",
            file: String? = null,
            threads: Int = defaultThreads(),
        ): QuestionAnswerer = open(AssetFolder(context.assets, folder), file, threads)

        /** As [fromAssets], from a folder of files. */
        fun fromFolder(
            folder: File,
            file: String? = null,
            threads: Int = defaultThreads(),
        ): QuestionAnswerer = open(FileFolder(folder), file, threads)

        /** Most phones have four fast cores; a thread on a slow one holds up the others. */
        private fun defaultThreads() =
            JavaRuntime.getRuntime().availableProcessors().coerceAtMost(FAST_CORES)

        internal fun open(folder: ModelFolder, path: String?, threads: Int): QuestionAnswerer {
            require(threads > 0) { "$threads threads: at least one is needed" }
            try {
                val description = SpanDescription.parse(folder.text("model.json"))
                val wanted = path ?: description.default
                val file =
                    description.files.values.find { it.path == wanted } ?: throw ModelException(
                        "model.json names no $wanted: it has " +
                            description.files.values.joinToString { it.path },
                    )
                val vocabulary = folder.read(description.tokenizer.file)
                val tokenizer = WordPieceTokenizer.read(description.tokenizer, vocabulary)
                val bytes = folder.map(file.path)
                if (bytes.capacity().toLong() != file.bytes) {
                    throw otherFile(file, "${bytes.capacity()} bytes instead of ${file.bytes}")
                }
                return QuestionAnswerer(folder, description, file, tokenizer, bytes, threads)
            } catch (error: OutOfMemoryError) {
                throw ModelException(
                    "there is not enough memory to open the model: close other apps",
                    error,
                )
            }
        }

        private fun otherFile(file: ModelFile, why: String) =
            ModelException(
                "${file.path} is not the file that model.json names ($why): copy both from the " +
                    "same build",
            )
    }
}
