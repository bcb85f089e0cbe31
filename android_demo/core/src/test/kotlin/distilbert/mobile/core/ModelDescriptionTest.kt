// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class ModelDescriptionTest {
    @Test
    fun `reads model json`() {
        val description = ModelDescription.parse(ModelFiles.DESCRIPTION, verify = false)
        assertEquals("student-int8.tflite", description.default)
        assertEquals("1.0.1", description.files.getValue("int8").minRuntime["LiteRT"])
        assertEquals(listOf("ids", "mask", "segment_ids"), description.inputs.map { it.name })
        assertEquals(listOf(17, 17), description.outputs.map { it.size(17) })
        assertEquals(24, description.lengths.default)
        assertEquals("[SEP]", description.tokenizer.special.sep.piece)
    }

    @Test
    fun `refuses another schema and says what to do`() {
        fun message(schema: Int) =
            assertThrows(ModelException::class.java) {
                ModelDescription.parse(
                    ModelFiles.DESCRIPTION.replace("_version\": 3", "_version\": $schema"),
                    verify = false,
                )
            }.message
        val start = "model.json has schema"
        assertEquals("$start 5, this version reads 3 and 4: update this app", message(5))
        assertEquals("$start 1, this version reads 3 and 4: build the model again", message(1))
    }

    @Test
    fun `names what model json lacks`() {
        val document = ModelFiles.DESCRIPTION.replace("\"split_cjk\"", "\"split\"")
        val error =
            assertThrows(
                ModelException::class.java,
            ) { ModelDescription.parse(document, verify = false) }
        assertEquals("model.json: tokenizer lacks \"split_cjk\"", error.message)
    }

    @Test
    fun `reads a model of another task`() {
        val output = """{"name": "logits", "dtype": "float32", "shape": [1, 3]}"""
        val settings = """"labels": ["negative", "positive"],"""
        val document = ModelFiles.description(output, settings)
        val description = ModelDescription.parse(document, verify = false)
        assertEquals(listOf("logits"), description.outputs.map { it.name })
        assertEquals(3, description.outputs.single().size(17))
    }

    @Test
    fun `refuses inputs that it does not give`() {
        val document = ModelFiles.DESCRIPTION.replace("segment_ids", "token_type_ids")
        val error =
            assertThrows(
                ModelException::class.java,
            ) { ModelDescription.parse(document, verify = false) }
        assertEquals(
            "model.json has the inputs ids, mask, token_type_ids, this version gives ids, mask, " +
                "segment_ids: build the model again",
            error.message,
        )
    }

    @Test
    fun `pads to the shortest length that fits`() {
        assertEquals(17, Lengths(384, 512, intArrayOf()).fitting(17))
        val static = Lengths(256, 256, intArrayOf(64, 128, 256))
        assertEquals(listOf(64, 64, 128, 256), listOf(1, 64, 65, 256).map { static.fitting(it) })
        assertThrows(ModelException::class.java) { static.fitting(257) }
    }

    @Test
    fun `a vocabulary must be the one that model json names`() {
        val tokenizer = ModelDescription.parse(ModelFiles.DESCRIPTION, verify = false).tokenizer
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

    @Test
    fun `added tokens are found whole, by their ids`() {
        val added =
            """
            "added": [
              {"content": "tower", "id": 7, "special": false, "lstrip": false, "rstrip": true,
                "single_word": true, "normalized": true, "word_piece": true},
              {"content": "E\n", "id": 19, "special": true, "lstrip": false, "rstrip": false,
                "single_word": false, "normalized": false, "word_piece": false}]
            """
        val vocabulary = ModelFiles.VOCABULARY.replace("?\n", "E\\n\n")
        val document =
            ModelFiles.DESCRIPTION
                .replace("\"added\": []", added)
                .replace(ModelFiles.digest(ModelFiles.VOCABULARY), ModelFiles.digest(vocabulary))
        val description = ModelDescription.parse(document, verify = false).tokenizer
        val tokenizer = WordPieceTokenizer.read(description, vocabulary.toByteArray())
        val pieces = tokenizer.tokenize("Towers tower  [SEP]xE\n e\\n")
        assertEquals(listOf(7, 17, 7, 3, 1, 19, 1, 1, 1), pieces.ids.toList())
        assertEquals(listOf(0, 5, 7, 14, 19, 20, 23, 24, 25), pieces.starts.toList())
        assertEquals(listOf(5, 6, 14, 19, 20, 22, 24, 25, 26), pieces.ends.toList())
        assertEquals("E\n", description.added.last().content)

        val other = vocabulary.replace("E\\n", "F")
        val error =
            assertThrows(ModelException::class.java) {
                WordPieceTokenizer.read(description, other.toByteArray())
            }
        assertEquals(
            "vocab.txt has no E\\n with id 19: copy it and model.json from the same build",
            error.message,
        )
    }

    @Test
    fun `names of files do not leave the folder`() {
        val names =
            listOf(
                "\"file\": \"vocab.txt\"",
                "\"path\": \"student-int8.tflite\"",
                "\"golden.json\"",
            )
        for (name in names) {
            val plain = name.substringAfterLast(": ").trim('"')
            for (hostile in listOf(
                "../$plain",
                "/tmp/$plain",
                "..",
                ".",
                "",
                "a\\\\b",
                "a\\u0000b",
            )) {
                val document = ModelFiles.DESCRIPTION.replace(name, name.replace(plain, hostile))
                val error =
                    assertThrows(
                        ModelException::class.java,
                    ) { ModelDescription.parse(document, verify = false) }
                val message = error.message.orEmpty()
                assertTrue(message, message.startsWith("model.json: "))
                assertTrue(message, "the name of a file in the same folder" in message)
            }
        }
    }

    @Test
    fun `errors name the file and say what can be done`() {
        val empty =
            assertThrows(ModelException::class.java) { ModelDescription.parse("", verify = false) }
        assertEquals(
            "model.json: no valid JSON at character 0: the document ends early",
            empty.message,
        )
        assertEquals(ErrorKind.DAMAGED, empty.kind)
        val newer = ModelFiles.DESCRIPTION.replace("\"schema_version\": 3", "\"schema_version\": 5")
        val error =
            assertThrows(
                ModelException::class.java,
            ) { ModelDescription.parse(newer, verify = false) }
        assertEquals(ErrorKind.UNSUPPORTED, error.kind)
    }
}
