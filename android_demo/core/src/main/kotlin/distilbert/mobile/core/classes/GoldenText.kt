// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.classes

import distilbert.mobile.core.Json
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.goldenCases

/**
 * One case of a classifier's `golden.json`: what a device must predict too.
 *
 * @property text the text, or the first of a pair.
 * @property pair the second; null for a single text.
 * @property ids of the input.
 * @property predictions by the name of the exported file.
 */
class GoldenText(
    val text: String,
    val pair: String?,
    val ids: IntArray,
    val predictions: Map<String, GoldenPrediction>,
) {
    companion object {
        /** The one version of a classifier's `golden.json` that this library reads. */
        const val SCHEMA = 2

        /**
         * Reads a classifier's `golden.json`.
         *
         * @param verify whether its digest must fit.
         * @return one case at least.
         * @throws ModelException if it is not JSON, of another version, damaged, or says what no
         *   build writes.
         */
        @JvmStatic
        @JvmOverloads
        fun parse(document: String, verify: Boolean = true): List<GoldenText> =
            goldenCases(
                document,
                SCHEMA,
                verify,
            ) { json -> of(json).also { requireGoldenText(json) } }

        private fun of(json: Json) =
            GoldenText(
                text = json["text"].text(),
                pair = json.optional("pair")?.text(),
                ids = json["ids"].integers(),
                predictions =
                    json["answers"].members().mapValues { GoldenPrediction.of(it.value) },
            )
    }
}

/**
 * What an exported file predicted when it was built.
 *
 * @property label the class; empty for a regression.
 * @property probability of the class, to six decimals; 0 for a regression.
 * @property value the number of a regression, to four decimals; else 0.
 * @property logits to four decimals.
 */
class GoldenPrediction(
    val label: String,
    val probability: Double,
    val value: Double,
    val logits: FloatArray,
) {
    internal companion object {
        fun of(json: Json): GoldenPrediction {
            val label = json.optional("label")?.text()
            return GoldenPrediction(
                label = label.orEmpty(),
                probability = if (label == null) 0.0 else json["probability"].number(),
                value = if (label == null) json["value"].number() else 0.0,
                logits = json["logits"].floats(),
            )
        }
    }
}
