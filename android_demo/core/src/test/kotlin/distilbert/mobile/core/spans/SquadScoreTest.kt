// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.GoldenFiles
import distilbert.mobile.core.Json
import distilbert.mobile.core.ModelException
import distilbert.mobile.testing.Comparison
import distilbert.mobile.testing.escaped
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class SquadScoreTest {
    @Test
    fun `scores are those of Python`() {
        val scores = Comparison("answers scored")
        for (case in GoldenFiles.figures["scores"].items()) {
            val given = case["given"].text()
            val truths = case["truths"].items().map { it.text() }
            val found = SquadScore.of(given, truths)
            val isEqual =
                100 * found.exactMatch == case["exact_match"].number() &&
                    // Python's are float32.
                    Math.abs(100 * found.f1 - case["f1"].number()) < 1e-4
            scores.check(isEqual) {
                "${given.escaped()} for ${truths.map { it.escaped() }}: EM ${found.exactMatch} " +
                    "F1 ${found.f1} instead of ${case["exact_match"].number()} and " +
                    "${case["f1"].number()} percent"
            }
        }
        scores.finish()
        assertTrue(GoldenFiles.figures["scores"].items().size >= 600)
    }

    @Test
    fun `scores follow the rules of each language as in Python`() {
        val languages = GoldenFiles.figures["languages"].items()
        for (language in languages) {
            val rules = ScoringRules.of(language["scoring"])
            val scores = Comparison("answers scored, ${language["language"].text()}")
            for (case in language["scores"].items()) {
                val (given, truth) = listOf("given", "truth").map { case[it].text() }
                val found = SquadScore.of(given, listOf(truth), rules)
                val isEqual =
                    found.exactMatch == case["exact_match"].number() &&
                        Math.abs(found.f1 - case["f1"].number()) < 1e-9
                scores.check(isEqual) {
                    "${given.escaped()} for ${truth.escaped()}: EM ${found.exactMatch} " +
                        "F1 ${found.f1} instead of ${case["exact_match"].number()} and " +
                        "${case["f1"].number()}"
                }
            }
            scores.finish()
            assertTrue(language["scores"].items().size >= 300)
        }
        assertTrue(languages.size >= 12)
    }

    @Test
    fun `rules that this version does not know are refused`() {
        val known =
            """{"articles": [], "elided": [], "anywhere": "", "punctuation": "unicode",
            "tokens": "mixed"}"""
        ScoringRules.of(Json.parse(known))
        for (unknown in listOf("unicode" to "all", "mixed" to "syllables")) {
            val document = known.replace(unknown.first, unknown.second)
            assertThrows(ModelException::class.java) { ScoringRules.of(Json.parse(document)) }
        }
    }
}
