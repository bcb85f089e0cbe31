// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.Json
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.goldenCases

/**
 * One case of `golden.json`: what a device must answer too.
 *
 * @property question what is asked.
 * @property passage where the answer lies.
 * @property windowCount how many windows of the passage are read.
 * @property ids of the first of them.
 * @property answers by the name of the exported file.
 */
class GoldenCase(
    val question: String,
    val passage: String,
    val windowCount: Int,
    val ids: IntArray,
    val answers: Map<String, GoldenAnswer>,
) {
    companion object {
        /** The one version of `golden.json` that this library reads. */
        const val SCHEMA = 2

        /**
         * Reads `golden.json`.
         *
         * @param verify whether its digest must fit.
         * @return one case at least.
         * @throws ModelException if it is not JSON, of another version, damaged, or says what no
         *   build writes.
         */
        @JvmStatic
        @JvmOverloads
        fun parse(document: String, verify: Boolean = true): List<GoldenCase> =
            goldenCases(
                document,
                SCHEMA,
                verify,
            ) { json -> of(json).also { requireGoldenQuestion(json) } }

        private fun of(json: Json): GoldenCase {
            val passage = json["context"].text()
            val firstWindow =
                json["windows"].items().firstOrNull()
                    ?: throw ModelException("a case of golden.json has no window")
            return GoldenCase(
                question = json["question"].text(),
                passage = passage,
                windowCount = json["window_count"].integer(),
                ids = firstWindow["ids"].integers(),
                answers =
                    json["answers"].members().mapValues { GoldenAnswer.of(it.value, passage) },
            )
        }
    }
}

/**
 * What an exported file answered when it was built.
 *
 * @property text the answer.
 * @property start its first UTF-16 unit in the passage.
 * @property end the unit past its last.
 * @property score start logit plus end logit.
 * @property logits of the first window, to four decimals.
 */
class GoldenAnswer(
    val text: String,
    val start: Int,
    val end: Int,
    val score: Double,
    val logits: Logits,
) {
    internal companion object {
        fun of(json: Json, passage: String) =
            GoldenAnswer(
                text = json["text"].text(),
                start = passage.unitOf(json["start"]),
                end = passage.unitOf(json["end"]),
                score = json["score"].number(),
                logits = Logits(json["start_logits"].floats(), json["end_logits"].floats()),
            )

        /** Files count code points, Kotlin UTF-16 units. */
        private fun String.unitOf(codePoint: Json): Int =
            try {
                offsetByCodePoints(0, codePoint.integer())
            } catch (error: IndexOutOfBoundsException) {
                throw ModelException("an answer of golden.json lies beyond its passage", error)
            }
    }
}
