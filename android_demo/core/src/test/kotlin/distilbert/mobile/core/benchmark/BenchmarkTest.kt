// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

import distilbert.mobile.core.Json
import distilbert.mobile.core.ModelDescription
import distilbert.mobile.core.ModelFile
import distilbert.mobile.core.ModelFiles
import distilbert.mobile.core.SelfTest
import distilbert.mobile.core.TaskModel
import distilbert.mobile.core.TaskResult
import distilbert.mobile.core.Times
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test

/** The benchmark of a task that this library does not know: it tells even numbers from odd ones. */
class BenchmarkTest {
    private class Guess(val isEven: Boolean, override val tokens: Int, override val times: Times) :
        TaskResult

    private class Guesser(override val runtime: String) : TaskModel {
        override val description = ModelDescription.parse(ModelFiles.DESCRIPTION, verify = false)
        override val file: ModelFile = description.files.values.first()
        var isClosed = false

        fun guess(padTo: Int?) = Guess(true, tokens = 5, Times(0.5, (padTo ?: 5) / 4.0, 0.25))

        override fun selfTest(isCancelled: () -> Boolean, onProgress: (Int, Int) -> Unit) =
            SelfTest(cases = 1, largestError = 0f, nearTies = 0, problem = null)

        override fun close() {
            isClosed = true
        }
    }

    private class Numbers(private val numbers: List<Int>, private val areKnown: Boolean) :
        Workload<Guesser, Guess> {
        override val source = "numbers"
        override val sha256 = null
        override val available = 10
        override val size get() = numbers.size
        override val metrics =
            if (areKnown) listOf(Metric("accuracy", "Accuracy", "%")) else emptyList()

        override fun drawn(count: Int, seed: Int) = Numbers(numbers.take(count), areKnown)

        override fun run(query: Int, model: Guesser, padTo: Int?, isCancelled: () -> Boolean) =
            model.guess(padTo)

        override fun scores(results: List<Guess>): Map<String, Double>? {
            if (!areKnown) return null
            val right = numbers.zip(results).count { (it.first % 2 == 0) == it.second.isEven }
            return mapOf("accuracy" to 100.0 * right / size)
        }
    }

    private class World(private val areKnown: Boolean, private val runtime: String) :
        BenchmarkWorld<Guesser, Guess> {
        private var nanoseconds = 0L
        val opened = ArrayList<Guesser>()
        override val phone = NoPhone
        override val created = "2026-01-31T12:00:00Z"

        override fun clock(): Long = nanoseconds++

        override fun open(file: String?, threads: Int) = Guesser(runtime).also(opened::add)

        override fun workload(model: Guesser) = Numbers(List(10) { it }, areKnown)

        override fun isCancelled() = false

        override fun tell(progress: Progress) = Unit
    }

    private object NoPhone : Phone {
        override fun device() =
            Device(
                manufacturer = "Fictitious",
                model = "Phone 1",
                soc = null,
                cpu = "a processor",
                architecture = "aarch64",
                cores = 8,
                flags = emptyList(),
                governor = null,
                memoryBytes = 1,
                android = "15",
                api = 35,
                abis = listOf("arm64-v8a"),
                kernel = "Linux 6.1.0",
                appVersion = "0.1.0",
            )

        override fun state() = PhoneState(null, null, null, null, emptyList())

        override fun memory() = ProcessMemory(null, null, null, null)

        override fun cautions() = emptyList<String>()
    }

    private fun document(areKnown: Boolean, runtime: String = "LiteRT 2.3.0"): Json {
        val world = World(areKnown, runtime)
        val plan = BenchmarkPlan("test", runs = 3, seconds = 0)
        val result = benchmark(plan, world)
        assertTrue(world.opened.size == 2 && world.opened.all { it.isClosed })
        return Json.parse(result.document())
    }

    @Test
    fun `another task's metrics and scores are in the document`() {
        val document = document(areKnown = true)
        assertEquals(2, document["schema_version"].integer())
        val metric = document["metrics"].items().single()
        assertEquals("accuracy", metric["name"].text())
        assertEquals("Accuracy", metric["label"].text())
        assertEquals("%", metric["unit"].text())
        val scores = document["files"].items().single()["scores"]
        // 0 and 2 of 0, 1 and 2, to two decimals.
        assertEquals(66.67, scores["accuracy"].number(), 0.0)
        assertEquals(3, document["queries"]["count"].integer())
    }

    @Test
    fun `a runtime is listed by its name and version`() {
        for ((runtime, name, version) in listOf(
            Triple("LiteRT 2.3.0", "litert", "2.3.0"),
            Triple("TensorFlow Lite 2.16.1", "tensorflow-lite", "2.16.1"),
            Triple("LiteRT (TensorFlow Lite 2.20.0)", "tensorflow-lite", "2.20.0"),
            Triple("LiteRT CompiledModel (NPU and CPU)", "litert-compiledmodel-npu-and-cpu", null),
            Triple("Fake", "fake", null),
        )) {
            val versions = document(areKnown = false, runtime)["versions"]
            assertEquals(setOf("distilbert-mobile-app", name), versions.members().keys)
            assertEquals(version, versions.optional(name)?.text())
        }
    }

    @Test
    fun `summaries and ratios have no bounds`() {
        val run = document(areKnown = true)["runs"].items().single()
        val latency = run["latency"]
        val natural = latency["subjects"]["student-int8.tflite"]["natural"]
        val figures = setOf("count", "mean", "p50", "p90", "p99", "min", "max")
        assertEquals(figures, natural.members().keys)
        assertEquals(1.25, natural["mean"].number(), 0.0)
        val ratio = latency["ratios"].items().single()
        assertEquals(6.0 / 1.25, ratio["ratio"].number(), 1e-9)
        assertTrue(ratio.optional("low") == null && ratio.optional("high") == null)
        val overhead = run["overhead"]["student-int8.tflite"]["natural"]
        assertEquals(figures, overhead["tokenize"].members().keys)
        assertEquals(37.5, overhead["share_percent"].number(), 1e-9)
    }

    @Test
    fun `without true answers there are no metrics and no scores`() {
        val document = document(areKnown = false)
        assertTrue(document["metrics"].items().isEmpty())
        assertNull(document["files"].items().single().optional("scores"))
    }
}
