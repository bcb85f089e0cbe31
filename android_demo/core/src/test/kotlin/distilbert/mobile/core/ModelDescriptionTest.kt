// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Test

class ModelDescriptionTest {
    @Test
    fun `reads model json`() {
        val description = ModelDescription.parse(ModelFiles.DESCRIPTION)
        assertEquals("student-int8.tflite", description.default)
        assertEquals("1.0.1", description.files.getValue("int8").minRuntime["LiteRT"])
        assertEquals(24, description.limits.maxLength)
        assertEquals("[SEP]", description.tokenizer.special.sep.piece)
        assertFalse(description.mayAbstain)
    }

    @Test
    fun `refuses another schema and says what to do`() {
        fun message(schema: Int) =
            assertThrows(ModelException::class.java) {
                ModelDescription.parse(
                    ModelFiles.DESCRIPTION.replace("_version\": 1", "_version\": $schema"),
                )
            }.message
        val start = "model.json has schema"
        assertEquals("$start 2, this version reads 1: update this app", message(2))
        assertEquals("$start 0, this version reads 1: build the model again", message(0))
    }

    @Test
    fun `names what model json lacks`() {
        val document = ModelFiles.DESCRIPTION.replace("\"split_cjk\"", "\"split\"")
        val error = assertThrows(ModelException::class.java) { ModelDescription.parse(document) }
        assertEquals("tokenizer lacks \"split_cjk\"", error.message)
    }

    @Test
    fun `refuses limits that leave pieces in no window`() {
        Limits(maxLength = 24, stride = 15, maxQuery = 6)
        for (stride in listOf(0, 16)) {
            assertThrows(ModelException::class.java) {
                Limits(maxLength = 24, stride = stride, maxQuery = 6)
            }
        }
    }

    @Test
    fun `pads to the shortest length that fits`() {
        assertEquals(17, Lengths(512, intArrayOf()).fitting(17))
        val static = Lengths(256, intArrayOf(64, 128, 256))
        assertEquals(listOf(64, 64, 128, 256), listOf(1, 64, 65, 256).map { static.fitting(it) })
        assertThrows(ModelException::class.java) { static.fitting(257) }
    }

    @Test
    fun `a vocabulary must be the one that model json names`() {
        val tokenizer = ModelDescription.parse(ModelFiles.DESCRIPTION).tokenizer
        WordPieceTokenizer.read(tokenizer, ModelFiles.VOCABULARY.toByteArray())

        fun message(vocabulary: String) =
            assertThrows(ModelException::class.java) {
                WordPieceTokenizer.read(tokenizer, vocabulary.toByteArray())
            }.message
        assertEquals(
            "vocab.txt has 21 word pieces, model.json says 20: copy both from the same build",
            message(ModelFiles.VOCABULARY + "more\n"),
        )
        assertEquals(
            "vocab.txt has no [PAD] with id 0: copy it and model.json from the same build",
            message(ModelFiles.VOCABULARY.replace("[PAD]", "[pad]")),
        )
        assertEquals(
            "vocab.txt is not the vocabulary that model.json names: copy both from the same build",
            message(ModelFiles.VOCABULARY.replace("rome", "oslo")),
        )
    }
}
