// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

// Bounds of what a build writes: far beyond any BERT, and far below what would fill a phone's memory.
private const val LONGEST_TEXT = 1000
internal const val LONGEST_PASSAGE = 10_000_000
internal const val MOST_PIECES = 1 shl 24
internal val LENGTHS = 1..(1 shl 16) // word pieces
internal val PLACES = 0 until MOST_PIECES // ids, and positions in a text
private val DIGEST_FORM = Regex("[0-9a-f]{64}")

/** Refuses members of an object that have none of these [names]. */
internal fun Json.requireOnly(names: Collection<String>) {
    val unknown = members().entries.find { it.key !in names } ?: return
    unknown.value.refuse("no such member")
}

/** A whole number within [range]. */
internal fun Json.integer(range: IntRange): Int =
    integer().also {
        if (it !in
            range
        ) {
            refuse("a whole number from ${range.first} to ${range.last}")
        }
    }

/** A text of up to [longest] UTF-16 units without half a surrogate pair. */
internal fun Json.text(longest: Int): String =
    text().also {
        if (it.length > longest) refuse("a text of up to $longest characters")
        Canonical.write(it)
    }

/** A text as long as a name or a remark is. */
internal fun Json.word(): String = text(LONGEST_TEXT)

/** Refuses a text that is no digest. */
internal fun Json.requireDigestForm() {
    if (!DIGEST_FORM.matches(text())) refuse("a SHA-256 of 64 hexadecimal digits")
}

/** The items of an array that has so many. */
internal fun Json.items(count: IntRange): List<Json> =
    items().also { if (it.size !in count) refuse("${count.first} to ${count.last} items") }

/** Refuses a document that contradicts itself. */
internal fun requireRight(isRight: Boolean, what: () -> String) {
    if (!isRight) throw ModelException("${what()}; no build writes that: build the model again")
}

/** The answers of a golden case by the names of the files. */
internal fun requireAnswers(case: Json): Map<String, Json> {
    val answers = case["answers"].members()
    requireRight(answers.isNotEmpty()) { "a case has no answers" }
    answers.forEach { (name, answer) -> answer.requireFileName(name) }
    return answers
}
