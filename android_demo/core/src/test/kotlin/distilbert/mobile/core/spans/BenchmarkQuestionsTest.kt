// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.Times
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test

class BenchmarkQuestionsTest {
    private fun questions(vararg truths: List<String>?) =
        BenchmarkQuestions(
            "a test",
            null,
            truths.size,
            truths.map { BenchmarkQuestion("", "", it) },
        )

    private fun answers(vararg texts: String) =
        texts.map { Answer(it, 0, it.length, 1f, 1, 8, Times(0.0, 1.0, 0.0)) }

    @Test
    fun `scores are percent, the headline's metric first`() {
        val questions = questions(listOf("the red tower", "Anna"), listOf("rome"))
        assertEquals(listOf("f1", "exact_match"), questions.metrics.map { it.name })
        val scores = questions.scores(answers("tower", "Rome."))!!
        assertEquals(questions.metrics.map { it.name }, scores.keys.toList())
        assertEquals(100.0 * (2.0 / 3 + 1) / 2, scores.getValue("f1"), 1e-9)
        assertEquals(50.0, scores.getValue("exact_match"), 1e-9)
    }

    @Test
    fun `questions are scored by the rules of their language`() {
        fun questions(tokens: String) =
            BenchmarkQuestions.parse(
                """
                {"schema_version": 2, "source": "s", "sha256": "0", "available": 1,
                 "scoring": {"language": "zh", "articles": [], "elided": [], "anywhere": "",
                             "punctuation": "unicode", "tokens": "$tokens"},
                 "passages": ["p"],
                 "questions": [{"passage": 0, "question": "q", "answers": ["玛拉设计"]}]}
                """,
            )
        val answer = answers("玛拉，")
        assertEquals(100 * 2.0 / 3, questions("mixed").scores(answer)!!.getValue("f1"), 1e-9)
        assertEquals(0.0, questions("words").drawn(1, 0).scores(answer)!!.getValue("f1"), 1e-9)
    }

    @Test
    fun `without true answers there are no metrics and no scores`() {
        val questions = questions(listOf("rome"), null)
        assertTrue(questions.metrics.isEmpty())
        assertNull(questions.scores(answers("rome", "anna")))
    }
}
