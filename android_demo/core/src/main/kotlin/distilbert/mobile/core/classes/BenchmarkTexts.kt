// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.classes

import distilbert.mobile.core.Json
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.benchmark.Metric
import distilbert.mobile.core.benchmark.Workload
import distilbert.mobile.core.readingFile
import distilbert.mobile.core.requireSchema
import java.util.Random

/** A text or a pair; [label] is the true one, null where nobody says. */
class LabeledText(val text: String, val pair: String?, val label: String?)

/**
 * The texts of a benchmark. Classes are scored with the accuracy; numbers are not scored.
 *
 * @property texts the queries.
 * @param labels the model's classes; empty for a regression.
 */
class BenchmarkTexts(
    override val source: String,
    override val sha256: String?,
    override val available: Int,
    val texts: List<LabeledText>,
    private val labels: List<String>,
) : Workload<ClassModel, Classification> {
    override val size get() = texts.size
    override val metrics =
        if (labels.isEmpty() || texts.any { it.label == null }) emptyList() else ACCURACY

    override fun drawn(count: Int, seed: Int): BenchmarkTexts {
        val drawn = texts.shuffled(Random(seed.toLong())).take(count)
        return BenchmarkTexts(source, sha256, available, drawn, labels)
    }

    override fun run(
        query: Int,
        model: ClassModel,
        padTo: Int?,
        isCancelled: () -> Boolean,
    ): Classification = with(texts[query]) { model.classify(text, pair, padTo, isCancelled) }

    override fun scores(results: List<Classification>): Map<String, Double>? {
        if (metrics.isEmpty()) return null
        val right =
            texts.zip(results).count { (text, result) -> place(text.label!!) == result.label }
        return mapOf(ACCURACY.single().name to PERCENT * right / texts.size)
    }

    /** The class that a label of the data means: its name in any case of letters, or its number. */
    private fun place(label: String): String? =
        labels.find { it == label }
            ?: labels.find { it.equals(label, ignoreCase = true) }
            ?: label.toIntOrNull()?.let(labels::getOrNull)

    companion object {
        private const val SCHEMA = 1
        private const val PERCENT = 100.0
        private val ACCURACY = listOf(Metric("accuracy", "Accuracy", "%"))

        /**
         * Reads `texts.json`.
         *
         * @param description of the model that classifies them.
         * @throws ModelException if it is not JSON, of another version, or lacks something.
         */
        fun parse(document: String, description: ClassDescription): BenchmarkTexts =
            readingFile("texts.json") {
                val json = Json.parse(document)
                requireSchema("texts.json", json, SCHEMA)
                BenchmarkTexts(
                    source = json["source"].text(),
                    sha256 = json["sha256"].text(),
                    available = json["available"].integer(),
                    texts =
                        json["texts"].items().map {
                            LabeledText(
                                it["text"].text(),
                                it.optional("pair")?.text(),
                                it["label"].text(),
                            )
                        },
                    labels = description.labels,
                ).alsoRequireSome("texts.json")
            }

        /** The golden cases, where there is no `texts.json`. */
        fun of(cases: List<GoldenText>): BenchmarkTexts =
            BenchmarkTexts(
                source = "golden cases",
                sha256 = null,
                available = cases.size,
                texts = cases.map { LabeledText(it.text, it.pair, null) },
                labels = emptyList(),
            ).alsoRequireSome("golden.json")

        private fun BenchmarkTexts.alsoRequireSome(file: String): BenchmarkTexts {
            if (texts.isEmpty()) throw ModelException("$file has no texts: build it again")
            return this
        }
    }
}
