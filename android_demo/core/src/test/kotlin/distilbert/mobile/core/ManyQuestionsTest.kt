// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File
import java.util.zip.GZIPInputStream

/** One file of a build and 500 questions, passages of up to 5,000 words. */
class ManyQuestionsTest {
    private val path = File(RealModel.folder.absoluteFile.parentFile, "golden-answers.json.gz")

    @Test
    fun `answers are those that Python gave`() {
        val description = RealModel.assumeDescription()
        RealModel.assumeExists(path, "python -m pipeline.golden_answers FILE writes it")
        val document = GZIPInputStream(path.inputStream()).use { it.readBytes() }
        val cases = GoldenCase.parse(document.toString(Charsets.UTF_8))
        assertTrue("only ${cases.size} questions", cases.size >= 500)
        RealModel.compare(description, cases[0].answers.keys.single(), cases)
    }
}
