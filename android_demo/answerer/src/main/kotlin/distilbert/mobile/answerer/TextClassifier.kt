// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import android.content.Context
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.ModelFile
import distilbert.mobile.core.SelfTest
import distilbert.mobile.core.classes.ClassDescription
import distilbert.mobile.core.classes.ClassModel
import distilbert.mobile.core.classes.Classification
import distilbert.mobile.core.classes.Classifier
import distilbert.mobile.core.classes.GoldenText
import java.io.File
import java.util.concurrent.CancellationException

/**
 * A text classification model of `pipeline.build`, opened: a text or a pair in, its class out.
 *
 * ```
 * val classifier = TextClassifier.fromAssets(context)
 * if (classifier.selfTest().isPassed) classifier.classify(text).label
 * ```
 *
 * Opening takes a tenth of a second and more, a text some milliseconds: call both on a thread of
 * your own. It may be called from any number of threads; one text is classified at a time, the
 * others wait. [close] frees the runtime's memory.
 */
class TextClassifier private constructor(private val open: OpenModel<ClassDescription>) :
    ClassModel {
        private val classifier = Classifier(open.description, open.tokenizer, open.model)

        /** What `model.json` says: the labels, and whether the model reads pairs. */
        override val description: ClassDescription get() = open.description

        /** The file that is open. */
        override val file: ModelFile get() = open.file

        /** The runtime in this app by name and version, such as "TensorFlow Lite 2.16.1". */
        override val runtime: String get() = open.runtime

        /** Hears of every result and failure; null where nobody listens. */
        var listener: ModelListener? by open::listener

        /**
         * The classes of a text or of a pair with their probabilities, or the number that a regression
         * predicts.
         *
         * @param text of any length; word pieces beyond `max_length` are cut off, of a pair those of
         *   the longer text first.
         * @param pair the second text, if [description] says that the model reads pairs.
         * @param padTo pad the input to so many word pieces; null runs it at its own length.
         * @param isCancelled asked while texts are tokenized and before the model runs, on the calling
         *   thread.
         * @throws CancellationException once [isCancelled] says so, [close] is called or the thread is
         *   interrupted meanwhile.
         * @throws ModelException if the runtime fails, or computes no numbers.
         * @throws IllegalArgumentException if the model reads pairs and there is one text, or the
         *   opposite.
         * @throws IllegalStateException after [close].
         */
        override fun classify(
            text: String,
            pair: String?,
            padTo: Int?,
            isCancelled: () -> Boolean,
        ): Classification =
            open.heard(NAME, isCancelled) { classifier.classify(text, pair, padTo, it) }

        /**
         * Classifies the build's golden cases on this device and reads the file once to check its
         * digest, as [QuestionAnswerer.selfTest] does. Use no model that does not pass.
         *
         * @param isCancelled asked before each text, on the calling thread.
         * @param onProgress called after each case with how many are done, of how many.
         * @throws CancellationException once [isCancelled] says so, or [close] is called meanwhile.
         * @throws ModelException if the golden cases, or this file's predictions in them, are missing,
         *   or the file is not the one that `model.json` names.
         * @throws IllegalStateException after [close].
         */
        override fun selfTest(
            isCancelled: () -> Boolean,
            onProgress: (done: Int, of: Int) -> Unit,
        ): SelfTest =
            open.alone(NAME, isCancelled) { isStopped ->
                open.selfTest(GoldenText::parse, ::comparison, isStopped, onProgress)
            }

        /**
         * Runs the model once on an empty text, so that the first text does not wait for pages of the
         * file to be loaded; errors as in [classify].
         */
        fun warmUp() {
            val pair = if (description.isPair) "" else null
            open.alone(NAME, { false }) { classifier.classify("", pair, null, it) }
        }

        /** Stops the text that is being classified and frees the runtime, as [QuestionAnswerer.close]. */
        override fun close() = open.close()

        private fun comparison(cases: List<GoldenText>) =
            ClassComparison(file.path, description, classifier, cases)

        companion object {
            private const val NAME = "TextClassifier"

            /** Opens a model among the app's assets; as [QuestionAnswerer.fromAssets]. */
            @JvmStatic
            @JvmOverloads
            fun fromAssets(
                context: Context,
                folder: String = "model",
                file: String? = null,
                threads: Int = OpenModel.defaultThreads(),
                verify: Boolean = true,
                engine: Engine = Engine.INTERPRETER,
            ): TextClassifier = open(AssetFolder(context, folder), file, threads, verify, engine)

            /** As [fromAssets], from a folder of files. */
            @JvmStatic
            @JvmOverloads
            fun fromFolder(
                folder: File,
                file: String? = null,
                threads: Int = OpenModel.defaultThreads(),
                verify: Boolean = true,
                engine: Engine = Engine.INTERPRETER,
            ): TextClassifier = open(FileFolder(folder), file, threads, verify, engine)

            /** The first file that is right; as [QuestionAnswerer.firstRightFromAssets]. */
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
            ): TextClassifier =
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
            ): TextClassifier =
                firstRight(FileFolder(folder), passed, verify, isCancelled, onProgress) {
                    fromFolder(folder, it, threads, verify, engine).hearing(listener)
                }

            internal fun open(
                folder: ModelFolder,
                path: String?,
                threads: Int,
                verify: Boolean = true,
                engine: Engine = Engine.INTERPRETER,
            ) = TextClassifier(
                OpenModel.open(folder, ClassDescription::parse, path, threads, verify, engine),
            )

            private fun TextClassifier.hearing(one: ModelListener?) = apply { listener = one }
        }
    }
