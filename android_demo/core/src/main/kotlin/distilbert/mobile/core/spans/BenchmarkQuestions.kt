// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.Json
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.benchmark.Metric
import distilbert.mobile.core.benchmark.Workload
import java.util.Random

/** A question about a passage; [answers] are the true ones, null where nobody says. */
class BenchmarkQuestion(val passage: String, val question: String, val answers: List<String>?)

/** The questions of a benchmark; [rules] are those of their language. */
class BenchmarkQuestions(
    override val source: String,
    override val sha256: String?,
    override val available: Int,
    val questions: List<BenchmarkQuestion>,
    private val rules: ScoringRules = ScoringRules.ENGLISH,
) : Workload<AnswerModel, Answer> {
    override val size get() = questions.size
    override val metrics = if (questions.any { it.answers == null }) emptyList() else SQUAD

    override fun drawn(count: Int, seed: Int): BenchmarkQuestions {
        val random = Random(seed.toLong())
        return BenchmarkQuestions(
            source,
            sha256,
            available,
            questions.shuffled(random).take(count),
            rules,
        )
    }

    override fun run(
        query: Int,
        model: AnswerModel,
        padTo: Int?,
        isCancelled: () -> Boolean,
    ): Answer {
        val asked = questions[query]
        return model.answer(asked.passage, asked.question, padTo, isCancelled)
    }

    override fun scores(results: List<Answer>): Map<String, Double>? {
        val scores =
            questions.zip(results) { question, answer ->
                SquadScore.of(answer.text, question.answers ?: return null, rules)
            }
        return mapOf(
            F1 to PERCENT * scores.map { it.f1 }.average(),
            EXACT_MATCH to PERCENT * scores.map { it.exactMatch }.average(),
        )
    }

    companion object {
        private const val SCHEMA = 2
        private const val F1 = "f1"
        private const val EXACT_MATCH = "exact_match"
        private const val PERCENT = 100.0
        private val SQUAD = listOf(Metric(F1, "F1", "%"), Metric(EXACT_MATCH, "Exact match", "%"))

        /**
         * Reads `questions.json`.
         *
         * @throws ModelException if it is not JSON, of another version, or lacks something.
         */
        fun parse(document: String): BenchmarkQuestions {
            val json = Json.parse(document)
            val schema = json["schema_version"].integer()
            if (schema != SCHEMA) {
                throw ModelException(
                    "questions.json has schema $schema, this version reads $SCHEMA: build again",
                )
            }
            val passages = json["passages"].items().map { it.text() }
            return BenchmarkQuestions(
                source = json["source"].text(),
                sha256 = json["sha256"].text(),
                available = json["available"].integer(),
                questions = json["questions"].items().map { question(it, passages) },
                rules = ScoringRules.of(json["scoring"]),
            ).alsoRequireSome("questions.json")
        }

        /** The golden cases that have a passage, where there is no `questions.json`. */
        fun of(cases: List<GoldenCase>): BenchmarkQuestions {
            val asked = cases.filter { it.passage.isNotBlank() }
            return BenchmarkQuestions(
                source = "golden cases",
                sha256 = null,
                available = asked.size,
                questions = asked.map { BenchmarkQuestion(it.passage, it.question, null) },
            ).alsoRequireSome("golden.json")
        }

        private fun BenchmarkQuestions.alsoRequireSome(file: String): BenchmarkQuestions {
            if (questions.isEmpty()) throw ModelException("$file has no questions: build it again")
            return this
        }

        private fun question(json: Json, passages: List<String>): BenchmarkQuestion {
            val passage = json["passage"].integer()
            return BenchmarkQuestion(
                passage =
                    passages.getOrNull(passage)
                        ?: throw ModelException("questions.json has no passage $passage"),
                question = json["question"].text(),
                answers = json["answers"].items().map { it.text() },
            )
        }
    }
}
