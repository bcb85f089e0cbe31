// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import android.content.Context
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.ModelFile
import distilbert.mobile.core.SelfTest
import distilbert.mobile.core.spans.Answer
import distilbert.mobile.core.spans.AnswerModel
import distilbert.mobile.core.spans.AnswerOptions
import distilbert.mobile.core.spans.Answerer
import distilbert.mobile.core.spans.GoldenCase
import distilbert.mobile.core.spans.Passage
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
    AnswerModel {
        private val answerer = Answerer(open.description, open.tokenizer, open.model)

        /** What `model.json` says. */
        override val description: SpanDescription get() = open.description

        /** The file that is open. */
        override val file: ModelFile get() = open.file

        /** The runtime in this app by name and version, such as "TensorFlow Lite 2.16.1". */
        override val runtime: String get() = open.runtime

        /** Hears of every answer and failure; null where nobody listens. */
        var listener: ModelListener? by open::listener

        /**
         * The best answer in the whole passage, which is cut into as many windows as it needs.
         *
         * @param passage of any length, also empty.
         * @param question of any length; word pieces beyond `max_query` are cut off.
         * @param padTo pad every window to so many word pieces; null runs each at its own length.
         * @param isCancelled asked while the texts are tokenized and before each window, on the
         *   calling thread.
         * @return its text is empty for "no answer"; its range counts UTF-16 units of [passage].
         * @throws CancellationException once [isCancelled] says so, [close] is called or the thread is
         *   interrupted meanwhile.
         * @throws ModelException if the runtime fails, or computes no numbers.
         * @throws IllegalStateException after [close].
         */
        override fun answer(
            passage: String,
            question: String,
            padTo: Int?,
            isCancelled: () -> Boolean,
        ): Answer = answer(Passage(passage), question, AnswerOptions(padTo), isCancelled)

        /**
         * The best answer as far as [options] let the search go; arguments and errors as above.
         *
         * @param passage may be asked about again: its word pieces are kept.
         */
        override fun answer(
            passage: Passage,
            question: String,
            options: AnswerOptions,
            isCancelled: () -> Boolean,
        ): Answer =
            open.heard(NAME, isCancelled) { answerer.answer(passage, question, options, it) }

        /**
         * Runs the model once on an empty passage, so that the first question does not wait for
         * pages of the file to be loaded; errors as in [answer].
         */
        fun warmUp() {
            open.alone(NAME, { false }) { answerer.answer(Passage(""), "", AnswerOptions(), it) }
        }

        /**
         * Answers the build's golden cases on this device and reads the file once to check its digest:
         * some runtimes open a file and compute something else without an error. Do it at first start
         * and after an update of the app; ask nothing where it is not passed.
         *
         * @param isCancelled asked before each window, on the calling thread.
         * @param onProgress called after each case with how many are done, of how many.
         * @throws CancellationException once [isCancelled] says so, or [close] is called meanwhile.
         * @throws ModelException if the golden cases, or this file's answers in them, are missing, or
         *   the file is not the one that `model.json` names.
         * @throws IllegalStateException after [close].
         */
        override fun selfTest(
            isCancelled: () -> Boolean,
            onProgress: (done: Int, of: Int) -> Unit,
        ): SelfTest =
            open.alone(NAME, isCancelled) { isStopped ->
                open.selfTest(GoldenCase::parse, { comparison() }, isStopped, onProgress)
            }

        /**
         * Stops the question that is being answered and frees the runtime; twice is once. It does not
         * wait, and may be called on any thread: windows that are running end first, and the thread
         * that asked frees the runtime. Whoever waits for an answer gets a CancellationException.
         */
        override fun close() = open.close()

        private fun comparison() =
            SpanComparison(file.path, description, open.model) {
                Answerer(description, open.tokenizer, it)
            }

        companion object {
            private const val NAME = "QuestionAnswerer"

            /**
             * Opens a model among the app's assets, where `.tflite` files must not be compressed
             * (`androidResources.noCompress += "tflite"`).
             *
             * @param folder where `model.json` and what it names lie.
             * @param file the path in `model.json` of the file to open; its default if null.
             * @param threads how many the runtime computes with, 1 to 64; by default as many as the
             *   device has fast cores, four at most.
             * @param verify whether the model, the vocabulary, `model.json` and `golden.json` must be
             *   those of the build, by their digests. Each installation of the app, and each process
             *   for a folder of files, reads an unchanged file once for that.
             * @param engine the runtime: LiteRT's `Interpreter`, several of them
             *   ([Engine.parallel]), or one that the app brings.
             * @throws ModelException if something is missing or damaged, or the runtime refuses it.
             * @throws CancellationException if the thread is interrupted.
             */
            @JvmStatic
            @JvmOverloads
            fun fromAssets(
                context: Context,
                folder: String = "model",
                file: String? = null,
                threads: Int = OpenModel.defaultThreads(),
                verify: Boolean = true,
                engine: Engine = Engine.INTERPRETER,
            ): QuestionAnswerer = open(AssetFolder(context, folder), file, threads, verify, engine)

            /**
             * As [fromAssets], from a folder of files. Never write into the folder while the model is
             * open: the file is mapped, and the app crashes where the mapped file shrinks.
             */
            @JvmStatic
            @JvmOverloads
            fun fromFolder(
                folder: File,
                file: String? = null,
                threads: Int = OpenModel.defaultThreads(),
                verify: Boolean = true,
                engine: Engine = Engine.INTERPRETER,
            ): QuestionAnswerer = open(FileFolder(folder), file, threads, verify, engine)

            /**
             * Opens the first file that passes the self-test, the default of `model.json` first. A
             * file that [passed] remembers is not tested again.
             *
             * @param verify as in [fromAssets]. Where it is false, a file is tested each time, and
             *   [passed] is not used: it knows files by their digests.
             * @param engine as in [fromAssets]; a test that is passed is remembered for its runtime.
             * @param listener hears of each file's self-test, and of what the model does later.
             * @param isCancelled asked before each window of the test, on the calling thread.
             * @param onProgress called after each golden case with how many are done, of how many.
             * @throws ModelException if no file is right; it says why the first one is not.
             * @throws CancellationException once [isCancelled] says so.
             */
            @JvmStatic
            @JvmOverloads
            fun firstRightFromAssets(
                context: Context,
                folder: String = "model",
                passed: PassedTests = PassedTests(context),
                threads: Int = OpenModel.defaultThreads(),
                verify: Boolean = true,
                engine: Engine = Engine.INTERPRETER,
                listener: ModelListener? = null,
                isCancelled: () -> Boolean = { false },
                onProgress: (done: Int, of: Int) -> Unit = { _, _ -> },
            ): QuestionAnswerer =
                firstRight(AssetFolder(context, folder), passed, verify, isCancelled, onProgress) {
                    fromAssets(context, folder, it, threads, verify, engine).hearing(listener)
                }

            /** As [firstRightFromAssets], from a folder of files. */
            @JvmStatic
            @JvmOverloads
            fun firstRightFromFolder(
                folder: File,
                passed: PassedTests,
                threads: Int = OpenModel.defaultThreads(),
                verify: Boolean = true,
                engine: Engine = Engine.INTERPRETER,
                listener: ModelListener? = null,
                isCancelled: () -> Boolean = { false },
                onProgress: (done: Int, of: Int) -> Unit = { _, _ -> },
            ): QuestionAnswerer =
                firstRight(FileFolder(folder), passed, verify, isCancelled, onProgress) {
                    fromFolder(folder, it, threads, verify, engine).hearing(listener)
                }

            internal fun open(
                folder: ModelFolder,
                path: String?,
                threads: Int,
                verify: Boolean = true,
                engine: Engine = Engine.INTERPRETER,
            ) = QuestionAnswerer(
                OpenModel.open(folder, SpanDescription::parse, path, threads, verify, engine),
            )

            private fun QuestionAnswerer.hearing(one: ModelListener?) = apply { listener = one }
        }
    }
