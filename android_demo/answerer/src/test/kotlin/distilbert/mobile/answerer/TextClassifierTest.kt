// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.core.ModelException
import distilbert.mobile.core.classes.GoldenText
import distilbert.mobile.testing.Builds
import distilbert.mobile.testing.Comparison
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import java.io.File
import java.util.concurrent.CancellationException
import java.util.concurrent.Executors
import kotlin.math.abs

/** The class that an app uses, on TensorFlow Lite's Android library in this machine's JVM. */
@RunWith(RobolectricTestRunner::class)
class TextClassifierTest {
    @get:Rule
    val temporary = TemporaryFolder()

    @Before
    fun runtime() = assumeRuntime()

    private fun open(file: String? = null) =
        TextClassifier.fromFolder(Builds.tinyClasses, file, threads = 1)

    @Test
    fun `texts have the classes of the build`() = compare(Builds.tinyClasses)

    @Test
    fun `pairs have the numbers of the build`() = compare(Builds.tinyNumber)

    @Test
    fun `the self-test passes where the runtime computes right`() {
        for (folder in listOf(Builds.tinyClasses, Builds.tinyNumber)) {
            TextClassifier.fromFolder(folder, threads = 1).use { classifier ->
                val progress = ArrayList<Int>()
                val result = classifier.selfTest { done, of -> progress.add(of - done) }
                println("self-test: ${result.cases} cases, error %.4f".format(result.largestError))
                assertNull(result.problem)
                assertTrue("${result.cases}", result.isPassed && result.cases >= 10)
                assertEquals((0 until result.cases).reversed().toList(), progress)
                assertTrue("${result.largestError}", result.largestError < 0.05f)
            }
        }
    }

    @Test
    fun `the self-test refuses a file that this runtime reads wrongly`() {
        open(TinyModel.MISREAD).use { classifier ->
            val result = classifier.selfTest()
            println(result.problem)
            assertFalse(result.isPassed)
            for (part in listOf(TinyModel.MISREAD, classifier.runtime, "ship ${TinyModel.RIGHT}")) {
                assertTrue(result.problem, part in result.problem!!)
            }
        }
    }

    @Test
    fun `golden cases must belong to the files`() {
        fun refused(file: String, from: String, to: String): String {
            val folder = Builds.tinyClasses.copyRecursivelyTo(temporary.newFolder())
            TinyModel.edit(folder.resolve(file)) { it.replace(from, to) }
            TextClassifier.fromFolder(folder).use { classifier ->
                return assertThrows(ModelException::class.java) { classifier.selfTest() }.message!!
            }
        }
        assertEquals(
            "golden.json has no answers of ${TinyModel.RIGHT}: $COPY",
            refused("golden.json", TinyModel.RIGHT, "other.tflite"),
        )
        assertEquals(
            "golden.json was made with another tokenizer: $COPY",
            refused("golden.json", "\"ids\":[2,", "\"ids\":[3,"),
        )
        assertEquals(
            "golden.json was made for another model: $COPY",
            refused("model.json", "\"pair\": false", "\"pair\": true"),
        )
    }

    @Test
    fun `a model of the other task is refused`() {
        val text = message { TextClassifier.fromFolder(Builds.tiny) }
        assertTrue(text, text.endsWith("build a model for text classification"))
        val question = message { QuestionAnswerer.fromFolder(Builds.tinyClasses) }
        assertTrue(question, question.endsWith("build a model for question answering"))
    }

    @Test
    fun `odd texts do no harm`() {
        open().use { classifier ->
            for (text in listOf(
                "",
                " \n",
                "\u200b",
                "\ud83d",
                "\ude00\ud83d",
                "x".repeat(99_999),
            )) {
                val found = classifier.classify(text)
                assertEquals(3, found.scores.size)
                assertEquals(1.0, found.scores.sumOf { it.probability }, 1e-9)
            }
        }
    }

    @Test
    fun `any number of threads may ask`() {
        open().use { classifier ->
            val cases = GoldenText.parse(Builds.tinyClasses.resolve("golden.json").readText())
            val pool = Executors.newFixedThreadPool(4)
            val found = cases.map { pool.submit<String> { classifier.classify(it.text).label } }
            assertEquals(
                cases.map { it.predictions.getValue(TinyModel.RIGHT).label },
                found.map { it.get() },
            )
            pool.shutdown()
        }
    }

    @Test
    fun `a text can be taken back, and closing ends everything`() {
        val classifier = open()
        assertThrows(CancellationException::class.java) { classifier.classify("a") { true } }
        assertThrows(CancellationException::class.java) {
            classifier.selfTest(isCancelled = { true })
        }
        assertThrows(CancellationException::class.java) {
            classifier.selfTest { done, _ -> if (done == 1) Thread(classifier::close).finish() }
        }
        val error =
            assertThrows(IllegalStateException::class.java) { classifier.classify("a") }
        assertEquals("this TextClassifier is closed: open another", error.message)
        assertThrows(IllegalStateException::class.java) { classifier.selfTest() }
        classifier.close()
    }

    /** Runs the thread to its end: closing does not wait for the work. */
    private fun Thread.finish() {
        start()
        join()
    }

    private fun compare(folder: File) {
        TextClassifier.fromFolder(folder, threads = 1).use { classifier ->
            val comparison = Comparison("texts, ${classifier.runtime}, ${folder.name}")
            for (case in GoldenText.parse(folder.resolve("golden.json").readText())) {
                val expected = case.predictions.getValue(classifier.file.path)
                val found = classifier.classify(case.text, case.pair)
                val isEqual =
                    found.label == expected.label &&
                        abs(found.probability - expected.probability) < PROBABILITY_TOLERANCE &&
                        abs(found.value - expected.value) < VALUE_TOLERANCE
                comparison.check(isEqual) {
                    "${case.text}: ${found.label} ${found.probability} ${found.value}, expected " +
                        "${expected.label} ${expected.probability} ${expected.value}"
                }
            }
            comparison.finish()
        }
    }

    private fun message(open: () -> AutoCloseable): String =
        assertThrows(ModelException::class.java) { open().close() }.message!!

    private fun File.copyRecursivelyTo(folder: File): File = copyRecursively(folder).let { folder }

    private companion object {
        const val COPY = "copy the whole folder that the build wrote"

        /** Kernels round differently: a logit was off by up to 0.3 between right runtimes. */
        const val PROBABILITY_TOLERANCE = 0.08
        const val VALUE_TOLERANCE = 0.3
    }
}
