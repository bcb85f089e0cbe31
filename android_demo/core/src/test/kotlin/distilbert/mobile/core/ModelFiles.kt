// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

import java.nio.ByteBuffer

/** A tiny build's `vocab.txt` and `model.json`. */
internal object ModelFiles {
    val VOCABULARY =
        "[PAD] [UNK] [CLS] [SEP] [MASK] a the tower of rome was built by anna in where who ##s . ?"
            .replace(' ', '\n') + "\n"

    private val digest = digest(VOCABULARY)

    /** What `model.json` says of a [vocabulary]. */
    fun digest(vocabulary: String) = ByteBuffer.wrap(vocabulary.toByteArray()).sha256()

    /** A model that answers questions. */
    val DESCRIPTION =
        description(
            outputs =
                """
                {"name": "start_logits", "dtype": "float32", "shape": [1, -1]},
                {"name": "end_logits", "dtype": "float32", "shape": [1, -1]}
                """,
            settings =
                """
                "limits": {"max_length": 24, "stride": 8, "max_query": 6, "max_answer": 4,
                  "n_best": 20},
                "may_abstain": false,
                """,
        )

    /** A `model.json` with other [outputs] and other [settings] of its task. */
    fun description(outputs: String, settings: String) =
        """
        {
          "schema_version": 3, "made_by": "pipeline 0.1", "task": "extractive question answering",
          "default": "student-int8.tflite",
          "files": {"int8": {"path": "student-int8.tflite", "bytes": 17500000, "sha256": "${"0".repeat(
            64,
        )}",
            "min_runtime": {"LiteRT": "1.0.1"}, "faults": {}, "for": "every phone"}},
          "signature": "answer",
          "inputs": [
            {"name": "ids", "dtype": "int32", "shape": [1, -1]},
            {"name": "mask", "dtype": "int32", "shape": [1, -1]},
            {"name": "segment_ids", "dtype": "int32", "shape": [1, -1]}],
          "outputs": [$outputs],
          "lengths": {"default": 24, "min": 1, "max": 512, "static": []},
          $settings
          "tokenizer": {
            "type": "wordpiece", "size": 20, "lower_case": true, "strip_accents": true,
            "split_cjk": true, "clean_text": true, "continuation": "##", "max_word_characters": 100,
            "split_special": false, "special": {
              "pad": {"piece": "[PAD]", "id": 0}, "unknown": {"piece": "[UNK]", "id": 1},
              "cls": {"piece": "[CLS]", "id": 2}, "sep": {"piece": "[SEP]", "id": 3},
              "mask": {"piece": "[MASK]", "id": 4}},
            "added": [],
            "file": "vocab.txt", "sha256": "$digest"},
          "golden": "golden.json"
        }
        """.trimIndent()
}
