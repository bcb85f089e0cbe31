// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

import distilbert.mobile.core.GoldenCase
import distilbert.mobile.core.Json
import distilbert.mobile.core.ModelException
import java.util.Random

/** A question about a passage; [answers] are the true ones, null where nobody says. */
class BenchmarkQuestion(val passage: String, val question: String, val answers: List<String>?)

/**
 * The queries of a benchmark.
 *
 * @property source where they come from.
 * @property sha256 digest of the set they were drawn from, hexadecimal.
 * @property available how many the set has.
 */
class BenchmarkQuestions(
    val source: String,
    val sha256: String?,
    val available: Int,
    val questions: List<BenchmarkQuestion>,
) {
    /** At most [count] of them in an order that [seed] decides. */
    fun drawn(count: Int, seed: Int): BenchmarkQuestions {
        val random = Random(seed.toLong())
        return BenchmarkQuestions(
            source,
            sha256,
            available,
            questions.shuffled(random).take(count),
        )
    }

    companion object {
        private const val SCHEMA = 1

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
