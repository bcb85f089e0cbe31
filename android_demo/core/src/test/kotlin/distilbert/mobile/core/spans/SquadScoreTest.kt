// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.GoldenFiles
import distilbert.mobile.testing.Comparison
import distilbert.mobile.testing.escaped
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
}
