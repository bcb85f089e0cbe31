// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.lang.management.ManagementFactory
import java.util.concurrent.CancellationException

/** How long the tokenizer works on a hostile text, and how it is stopped. */
class WorkTest {
    private val tokenizer =
        WordPieceTokenizer.read(
            ModelDescription.parse(ModelFiles.DESCRIPTION, verify = false).tokenizer,
            ModelFiles.VOCABULARY.toByteArray(),
        )

    @Test
    fun `200,000 combining marks take less than a second`() {
        val above = "\u0301"
        val below = "\u0323"
        val inTurns = (above + below).repeat(100_000)
        val inBlocks = above.repeat(100_000) + below.repeat(100_000)
        for (marks in listOf(inTurns, inBlocks)) {
            val begun = ManagementFactory.getThreadMXBean().currentThreadCpuTime
            val pieces = tokenizer.tokenize("a${marks}a tower")
            val milliseconds =
                (ManagementFactory.getThreadMXBean().currentThreadCpuTime - begun) / 1_000_000
            assertTrue("$milliseconds ms", milliseconds < 1000)
            // Marks are dropped: "aa" is no word of the vocabulary, "tower" is.
            assertArrayEquals(intArrayOf(1, 7), pieces.ids)
            assertArrayEquals(intArrayOf(0, 200_003), pieces.starts)
        }
    }

    @Test
    fun `tokenizing can be taken back`() {
        var asked = 0
        assertThrows(CancellationException::class.java) {
            tokenizer.tokenize("the tower of rome. ".repeat(50_000)) { ++asked == 10 }
        }
        assertTrue("asked $asked times", asked == 10)
    }
}
