// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.core.ErrorKind
import distilbert.mobile.core.Json
import distilbert.mobile.core.ModelDescription
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.ModelFile
import distilbert.mobile.core.SelfTest
import distilbert.mobile.core.TaskResult
import distilbert.mobile.core.WordPieceTokenizer
import distilbert.mobile.core.requireDigest
import distilbert.mobile.core.requireSeal
import java.nio.ByteBuffer
import java.util.Locale
import java.util.concurrent.CancellationException

/**
 * What an opened model of any task does: it runs one piece of work at a time, tests itself, and
 * closes while it works.
 *
 * @property description what `model.json` says.
 * @property file the one that is open.
 * @property tokenizer of the same build.
 * @property model the file in its runtime; only to be used within [alone].
 */
internal class OpenModel<D : ModelDescription> private constructor(
    private val folder: ModelFolder,
    val description: D,
    val file: ModelFile,
    val tokenizer: WordPieceTokenizer,
    private val bytes: ByteBuffer,
    val model: EngineModel,
    private val verify: Boolean,
) : AutoCloseable {
    /** The runtime in this app by name and version. */
    val runtime = model.runtime

    private val access = Access(model::close)

    /** Hears of every result and failure; null where nobody listens. */
    @Volatile
    var listener: ModelListener? = null

    /**
     * Does [work] while no other thread does any.
     *
     * @param owner the name of the class that is open, for an error; R8 may rename the class.
     * @param isCancelled whether the caller no longer wants the result; [work] gets a function
     *   that also says so once [close] is called or the thread is interrupted.
     * @throws CancellationException if [close] is called, or the thread interrupted, meanwhile.
     * @throws IllegalStateException after [close].
     */
    fun <T> alone(owner: String, isCancelled: () -> Boolean, work: (() -> Boolean) -> T): T =
        access.alone(owner, isCancelled, work)

    /** The same for work whose result and failure [listener] hears of. */
    fun <T : TaskResult> heard(
        owner: String,
        isCancelled: () -> Boolean,
        work: (() -> Boolean) -> T,
    ): T {
        val asked = System.nanoTime()
        try {
            return alone(owner, isCancelled) { isStopped ->
                val begun = System.nanoTime()
                work(isStopped).also { listener?.onResult(it, (begun - asked) / NANOSECONDS) }
            }
        } catch (error: ModelException) {
            listener?.onFailure(error)
            throw error
        }
    }

    /**
     * Runs the golden cases; to be called within [alone].
     *
     * @param parse reads the task's `golden.json`.
     * @param compare makes the comparison of all cases.
     * @throws CancellationException once [isCancelled] says so.
     * @throws ModelException if the cases are missing, or the file is not that of `model.json`.
     */
    fun <C> selfTest(
        parse: (String, Boolean) -> List<C>,
        compare: (List<C>) -> GoldenComparison<C>,
        isCancelled: () -> Boolean,
        onProgress: (done: Int, of: Int) -> Unit,
    ): SelfTest {
        if (verify) requireDigest(folder, bytes, file)
        val cases = parse(folder.text(description.golden), verify)
        val comparison = compare(cases)
        cases.forEachIndexed { index, case ->
            comparison.add(case, isCancelled)
            onProgress(index + 1, cases.size)
        }
        val problem = if (comparison.isRight) null else problem(comparison, cases.size)
        return SelfTest(cases.size, comparison.largestError, comparison.nearTies, problem).also {
            listener?.onSelfTest(file, runtime, it)
        }
    }

    /**
     * Stops the work that is done and frees the runtime; twice is once. It does not wait: where
     * work is under way, the thread that does it frees the runtime when it ends.
     */
    override fun close() = access.close()

    private fun problem(comparison: GoldenComparison<*>, cases: Int): String {
        val differ = comparison.different + comparison.nearTies
        val percent = "%.0f".format(Locale.ROOT, comparison.largestError * PERCENT)
        return "${file.path} is computed wrong by $runtime on ${Runtime.processor()}: $differ of " +
            "$cases golden cases differ, logits by up to $percent % of their range; " +
            model.remedy
    }

    companion object {
        private const val PERCENT = 100
        private const val NANOSECONDS = 1e6

        /** More threads than any phone has cores only slow a model down. */
        const val MOST_THREADS = 64

        /** As many as this device has fast cores, four at most. */
        fun defaultThreads() = Cores.fast()

        /**
         * Opens a model.
         *
         * @param parse reads the task's `model.json`.
         * @param path of the file in `model.json`; its default if null.
         * @param threads how many the runtime computes with.
         * @param verify whether every file must be the build's, by its digest.
         * @param engine the runtime.
         * @throws ModelException if something is missing or damaged, or the runtime refuses it.
         */
        fun <D : ModelDescription> open(
            folder: ModelFolder,
            parse: (String, Boolean) -> D,
            path: String?,
            threads: Int,
            verify: Boolean,
            engine: Engine,
        ): OpenModel<D> {
            require(threads in 1..MOST_THREADS) {
                "$threads threads: allowed are 1 to $MOST_THREADS"
            }
            try {
                val description = parse(folder.text("model.json"), verify)
                val wanted = path ?: description.default
                val file =
                    description.files.values.find { it.path == wanted } ?: throw ModelException(
                        "model.json names no $wanted: it has " +
                            description.files.values.joinToString { it.path },
                    )
                val vocabulary = folder.read(description.tokenizer.file)
                val tokenizer = WordPieceTokenizer.read(description.tokenizer, vocabulary, verify)
                val bytes = folder.map(file.path)
                if (verify) {
                    requireDigest(folder, bytes, file)
                    requireGolden(folder, description.golden)
                }
                val (assets, place) = folder.place(file.path)
                val source = EngineSource(bytes, assets, place, file, description, threads)
                val model = engine.open(source)
                return OpenModel(folder, description, file, tokenizer, bytes, model, verify)
            } catch (error: OutOfMemoryError) {
                throw ModelException(
                    "there is not enough memory to open the model: close other apps",
                    error,
                    ErrorKind.MEMORY,
                )
            }
        }

        private fun requireDigest(folder: ModelFolder, bytes: ByteBuffer, file: ModelFile) {
            if (bytes.capacity().toLong() != file.bytes) {
                throw ModelException(
                    "${file.path} is not the file that model.json names (${bytes.capacity()} " +
                        "bytes instead of ${file.bytes}): copy both from the same build",
                )
            }
            once(folder, file.path, file.sha256) { file.requireDigest(bytes) }
        }

        /** Golden cases may be left out, as where an app has no room for them. */
        private fun requireGolden(folder: ModelFolder, golden: String) {
            try {
                once(folder, golden, "its own") {
                    Json.parse(folder.text(golden)).requireSeal(golden)
                }
            } catch (error: ModelException) {
                if (error.kind != ErrorKind.MISSING) throw error
            }
        }

        /** Checks a file unless it is remembered in the state that it has. */
        private fun once(folder: ModelFolder, name: String, digest: String, check: () -> Unit) {
            val state = folder.state(name)?.let { "$it $digest" }
            if (state != null && state in folder.verified) return
            check()
            if (state != null) folder.verified.add(state)
        }
    }
}
