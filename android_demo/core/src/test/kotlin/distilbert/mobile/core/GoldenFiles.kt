// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

import distilbert.mobile.testing.Builds
import java.util.zip.GZIPInputStream

/** The files that `tests/contract/make_golden.py` wrote. */
internal object GoldenFiles {
    val tokenizer: Json by lazy { read("tokenizer.json.gz") }
    val added: Json by lazy { read("added.json.gz") }
    val answers: Json by lazy { read("answers.json.gz") }
    val search: Json by lazy { read("search.json.gz") }
    val classes: Json by lazy { read("classes.json.gz") }
    val figures: Json by lazy { read("figures.json.gz") }
    val starts: Json by lazy { Json.parse(Builds.golden.resolve("android_start.json").readText()) }

    /** The tokenizer that [json] describes, with a vocabulary of [document]. */
    fun tokenizer(json: Json, vocabulary: String, document: Json = tokenizer): WordPieceTokenizer {
        val pieces = document["vocabularies"][vocabulary].items()
        val lines = pieces.joinToString("") { "${it.text()}\n" }
        return WordPieceTokenizer.read(TokenizerDescription.of(json), lines.toByteArray())
    }

    private fun read(name: String): Json {
        val file = Builds.golden.resolve(name)
        val bytes = GZIPInputStream(file.inputStream()).use { it.readBytes() }
        return Json.parse(bytes.toString(Charsets.UTF_8))
    }
}
