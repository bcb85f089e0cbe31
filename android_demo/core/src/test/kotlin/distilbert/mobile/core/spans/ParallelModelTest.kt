// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.LiteRtModel
import distilbert.mobile.core.Predictor
import distilbert.mobile.core.WordPieceTokenizer
import distilbert.mobile.testing.Builds
import distilbert.mobile.testing.Comparison
import org.junit.Assert.assertEquals
import org.junit.Assume.assumeTrue
import org.junit.Test
import java.io.File
import java.util.concurrent.LinkedBlockingQueue

/** Files that are opened several times in LiteRT on this machine, for as many windows at a time. */
class ParallelModelTest {
    private val library = File(System.getProperty("litert.library") ?: "")

    /** A file opened [atOnce] times, each with so many threads. */
    private inner class Models(
        description: SpanDescription,
        path: File,
        override val atOnce: Int,
        threads: Int,
    ) : Predictor,
        AutoCloseable {
        private val opened = List(atOnce) { LiteRtModel(library, path, description, threads) }
        private val free = LinkedBlockingQueue(opened)

        override fun run(ids: IntArray, mask: IntArray, segmentIds: IntArray): List<FloatArray> {
            val model = free.take()
            return model.run(ids, mask, segmentIds).also { free.add(model) }
        }

        override fun close() = opened.forEach { it.close() }
    }

    @Test
    fun `answers of the tiny build are those of one window after the other`() = compare(Builds.tiny)

    @Test
    fun `answers of the build are those of one window after the other`() {
        assumeNothing(Builds.missingReal)
        compare(Builds.real)
    }

    private fun compare(folder: File) {
        assumeLibrary()
        val description = SpanDescription.parse(File(folder, "model.json").readText())
        val cases = GoldenCase.parse(File(folder, description.golden).readText())
        for (file in description.files.values.filter { it.path in cases[0].answers }) {
            val comparison = Comparison("questions, ${file.path}, several windows at a time")
            opened(folder, description, file.path) { answerers ->
                for (case in cases) {
                    val contents =
                        answerers.map { answerer ->
                            val answer = answerer.answer(case.passage, case.question)
                            listOf(answer.text, answer.start, answer.score, answer.confidence)
                        }
                    comparison.check(contents.distinct().size == 1) { "$contents" }
                }
            }
            comparison.finish()
        }
    }

    /** Prints the times of a passage of six windows: `-Dparallel.rounds=20`, on an idle machine. */
    @Test
    fun `times of six windows of 256 word pieces`() {
        val rounds = Integer.getInteger("parallel.rounds", 0)
        assumeTrue("no parallel.rounds", rounds > 0)
        assumeNothing(Builds.missingReal)
        assumeLibrary()
        val document = File(Builds.real, "model.json").readText()
        val lengths =
            mapOf("max_length" to LENGTH, "stride" to LENGTH / 2, "max_windows" to WINDOWS)
        val changed =
            lengths.entries.fold(document) { text, (name, number) ->
                text.replace(Regex("(\"$name\": ?)\\d+"), "$1$number")
            }
        val description = SpanDescription.parse(changed, verify = false)
        // [CLS], two pieces of the question, [SEP] before it, and [SEP] after it.
        val passage = Passage("the ".repeat(LENGTH - 5 + (WINDOWS - 1) * LENGTH / 2))
        for (file in description.files.values) {
            opened(Builds.real, description, file.path) { answerers ->
                val times = answerers.map { ArrayList<Double>() }
                for (round in -WARM_UP until rounds) {
                    for (index in answerers.indices) {
                        val which = (index + rounds + round) % answerers.size
                        val begun = System.nanoTime()
                        val answer = answerers[which].answer(passage, "who where", AnswerOptions())
                        val time = (System.nanoTime() - begun) / 1e6
                        assertEquals(WINDOWS, answer.windowsRead)
                        assertEquals(WINDOWS * LENGTH, answer.tokens)
                        if (round >= 0) times[which].add(time)
                    }
                }
                println("${file.path}, $rounds rounds, median ms (share of one thread's):")
                OPENED.zip(times) { (count, threads), taken ->
                    val shares = taken.zip(times[0]) { one, first -> one / first }
                    println(
                        "  %d opened with %d threads each: %.1f (%.2f)"
                            .format(count, threads, median(taken), median(shares)),
                    )
                }
            }
        }
    }

    private fun median(values: List<Double>) = values.sorted()[values.size / 2]

    /** Opens a file as often, and with as many threads, as [OPENED] says, and closes it. */
    private fun opened(
        folder: File,
        description: SpanDescription,
        file: String,
        use: (List<Answerer>) -> Unit,
    ) {
        val vocabulary = File(folder, description.tokenizer.file).readBytes()
        val tokenizer = WordPieceTokenizer.read(description.tokenizer, vocabulary)
        val models =
            OPENED.map { (count, threads) ->
                Models(description, File(folder, file), count, threads)
            }
        use(models.map { Answerer(description, tokenizer, it) })
        models.forEach { it.close() }
    }

    private fun assumeLibrary() {
        val missing = "no $library: LiteRT's Python wheel brings it, make model installs it"
        assumeNothing(missing.takeIf { !library.isFile })
    }

    private fun assumeNothing(missing: String?) {
        missing?.let { println("skipped: $it") }
        assumeTrue(missing, missing == null)
    }

    private companion object {
        /** How often a file is opened, and with how many threads each time. */
        val OPENED = listOf(1 to 1, 1 to 2, 2 to 1)
        const val LENGTH = 256
        const val WINDOWS = 6

        /** Rounds that are not timed. */
        const val WARM_UP = 3
    }
}
