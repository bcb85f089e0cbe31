// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import android.content.Context
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.ModelFile
import distilbert.mobile.core.spans.Answer
import distilbert.mobile.core.spans.Answerer
import distilbert.mobile.core.spans.GoldenCase
import distilbert.mobile.core.spans.SpanDescription
import java.io.File
import java.util.concurrent.CancellationException

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
 */
class QuestionAnswerer private constructor(private val open: OpenModel<SpanDescription>) :
    AutoCloseable {
        private val answerer = Answerer(open.description, open.tokenizer, open.model)

        /** What `model.json` says. */
        val description: SpanDescription get() = open.description

        /** The file that is open. */
        val file: ModelFile get() = open.file

        /** The runtime in this app by name and version, such as "TensorFlow Lite 2.16.1". */
        val runtime: String get() = open.runtime

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
        ): Answer = open.alone(this, isCancelled) { answerer.answer(passage, question, padTo, it) }

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
            open.alone(this, isCancelled) { isStopped ->
                open.selfTest(GoldenCase::parse, { comparison() }, isStopped, onProgress)
            }

        /** Stops the question that is being answered and frees the runtime; twice is once. */
        override fun close() = open.close()

        private fun comparison() =
            SpanComparison(file.path, description, open.model) {
                Answerer(description, open.tokenizer, it)
            }

        companion object {
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
                threads: Int = OpenModel.defaultThreads(),
            ): QuestionAnswerer = open(AssetFolder(context.assets, folder), file, threads)

            /** As [fromAssets], from a folder of files. */
            fun fromFolder(
                folder: File,
                file: String? = null,
                threads: Int = OpenModel.defaultThreads(),
            ): QuestionAnswerer = open(FileFolder(folder), file, threads)

            internal fun open(folder: ModelFolder, path: String?, threads: Int) =
                QuestionAnswerer(OpenModel.open(folder, SpanDescription::parse, path, threads))
        }
    }
