// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.classes

import distilbert.mobile.core.GoldenFiles
import distilbert.mobile.testing.Comparison
import distilbert.mobile.testing.escaped
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class ClassesGoldenTest {
    private val golden = GoldenFiles.classes

    @Test
    fun `inputs of texts and pairs are those of Python`() {
        val tokenizer = GoldenFiles.tokenizer(golden["tokenizer"], "uncased")
        val special = tokenizer.description.special
        val comparison = Comparison("inputs of texts and pairs")
        val cases = golden["inputs"].items()
        for (case in cases) {
            val text = tokenizer.tokenize(case["text"].text())
            val pair = case.optional("pair")?.let { tokenizer.tokenize(it.text()) }
            val input = ClassInput.of(text, pair, special, case["max_length"].integer())
            val isEqual =
                input.ids.contentEquals(case["ids"].integers()) &&
                    input.segmentIds.contentEquals(case["segment_ids"].integers())
            comparison.check(isEqual) {
                "${case["text"].text().take(60).escaped()}, ${text.size} and ${pair?.size} pieces"
            }
        }
        comparison.finish()
        assertTrue("only ${cases.size} inputs", cases.size >= 500)
    }

    @Test
    fun `pairs are cut as in Python`() {
        val comparison = Comparison("pairs that are cut")
        for (case in golden["kept"].items()) {
            val (first, second, room) = case["pieces"].integers().toList()
            val (one, two) = case["kept"].integers().toList()
            val kept = ClassInput.kept(first, second, room)
            comparison.check(kept == one to two) { "$first and $second in $room: $kept" }
        }
        comparison.finish()
    }

    @Test
    fun `probabilities are those of Python`() {
        val comparison = Comparison("probabilities of classes")
        for (case in golden["readings"].items()) {
            val expected = case["probabilities"].items().map { it.number() }
            val found = Classifier.probabilities(case["logits"].floats())
            assertEquals(1.0, found.sum(), 1e-12)
            val best = found.indices.maxBy { found[it] }
            val error = expected.zip(found) { one, other -> Math.abs(one - other) }.max()
            comparison.check(error < 1e-12 && best == case["best"].integer()) {
                "$found instead of $expected"
            }
        }
        comparison.finish()
    }
}
