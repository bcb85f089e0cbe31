// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

import java.io.File
import java.util.zip.GZIPInputStream

/** The files that `tests/golden/make_golden.py` wrote. */
internal object GoldenFiles {
    val tokenizer: Json by lazy { read("tokenizer.json.gz") }
    val answers: Json by lazy { read("answers.json.gz") }
    val figures: Json by lazy { read("figures.json.gz") }
    val starts: Json by lazy { Json.parse(file("android_start.json").readText()) }

    /** The tokenizer that [json] describes, with a vocabulary of [GoldenFiles.tokenizer]. */
    fun tokenizer(json: Json, vocabulary: String): WordPieceTokenizer {
        val pieces = tokenizer["vocabularies"][vocabulary].items()
        val lines = pieces.joinToString("") { "${it.text()}\n" }
        return WordPieceTokenizer.read(TokenizerDescription.of(json), lines.toByteArray())
    }

    private fun read(name: String): Json {
        val bytes = GZIPInputStream(file(name).inputStream()).use { it.readBytes() }
        return Json.parse(bytes.toString(Charsets.UTF_8))
    }

    private fun file(name: String): File =
        File(System.getProperty("golden.folder") ?: error("golden.folder is not set"), name)
}

/** Counts what was compared, and fails at the end with the first differences. */
internal class Comparison(private val what: String) {
    private var compared = 0
    private val differences = ArrayList<String>()

    fun check(isEqual: Boolean, difference: () -> String) {
        compared++
        if (!isEqual) differences.add(difference())
    }

    fun finish() {
        println("$what: $compared compared, ${differences.size} differ")
        if (differences.isEmpty()) return
        val shown = differences.take(SHOWN).joinToString("\n")
        throw AssertionError("$what: ${differences.size} of $compared differ\n$shown")
    }

    private companion object {
        const val SHOWN = 10
    }
}

/** Characters beyond ASCII as escapes, for a difference that can be read. */
internal fun String.escaped() =
    map { if (it in ' '..'~') it.toString() else "\\u%04x".format(it.code) }.joinToString("")
