// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.classes

import distilbert.mobile.core.ModelFiles

/** `model.json` of tiny classifiers. */
internal object ClassFiles {
    /** Three classes of single texts. */
    val CLASSES = description(3, """"labels": ["bad", "fair", "good"], "regression": false,""")

    /** Two classes of pairs. */
    val PAIRS = description(2, """"labels": ["no", "yes"], "regression": false,""", isPair = true)

    /** A number for a text. */
    val NUMBER = description(1, """"labels": [], "regression": true,""")

    private fun description(logits: Int, settings: String, isPair: Boolean = false) =
        ModelFiles
            .description(
                outputs = """{"name": "logits", "dtype": "float32", "shape": [1, $logits]}""",
                settings =
                    """
                    $settings "pair": $isPair, "limits": {"max_length": 9},
                    "truncation": "longest_first",
                    """,
            ).replace("extractive question answering", ClassDescription.TASK)
            .replace("\"signature\": \"answer\"", "\"signature\": \"classify\"")
}
