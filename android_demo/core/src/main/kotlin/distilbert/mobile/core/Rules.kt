// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

// What a build writes, as the build's own reader checks it: no unknown member, no number out of
// bounds, nothing that contradicts itself.

private const val LONGEST_CONTINUATION = 100
private const val MOST_FILES = 100
private const val MOST_TENSORS = 10
private const val MOST_SIDES = 8
private const val MOST_STATIC = 1000
private const val MOST_BYTES = 1.099511627776e12 // 2^40
private const val LEAST_PIECES = 5
private const val LONGEST_WORD = 1 shl 20
private val COMMON =
    listOf(
        "schema_version",
        "made_by",
        "task",
        "default",
        "files",
        "signature",
        "inputs",
        "outputs",
        "lengths",
        "tokenizer",
        "golden",
        DIGEST,
    )

/**
 * Refuses a `model.json` that no build writes.
 *
 * @param own the members that the task adds; null where the task is unknown.
 * @throws ModelException that names the first thing that is wrong.
 */
internal fun requireModel(json: Json, own: Collection<String>?) {
    if (own != null) json.requireOnly(COMMON + own)
    for (name in listOf("made_by", "task", "signature")) json[name].word()
    requireFiles(json)
    for (name in listOf("inputs", "outputs")) {
        json[name].items(1..MOST_TENSORS).forEach(::requireTensor)
    }
    requireLengths(json["lengths"])
    requireTokenizer(json["tokenizer"])
}

private fun requireFiles(json: Json) {
    val files = json["files"].members()
    requireRight(files.size in 1..MOST_FILES) { "files has ${files.size} members" }
    for (file in files.values) {
        file.requireOnly(listOf("path", "bytes", "sha256", "min_runtime", "faults", "for"))
        val bytes = file["bytes"].number()
        if (bytes !in 1.0..MOST_BYTES || bytes % 1 != 0.0) file["bytes"].refuse("a number of bytes")
        file["sha256"].requireDigestForm()
        for (notes in listOf(file["min_runtime"], file["faults"])) {
            notes.members().values.forEach { it.word() }
        }
        file["for"].word()
    }
    val paths = files.values.map { it["path"].fileName() }
    requireRight(paths.toSet().size == paths.size) { "files has a path twice" }
    val default = json["default"].fileName()
    requireRight(default in paths) { "default is $default, which files has not" }
}

private fun requireTensor(tensor: Json) {
    tensor.requireOnly(listOf("name", "dtype", "shape"))
    tensor["name"].word()
    if (tensor["dtype"].text() !in listOf("int32", "float32")) tensor["dtype"].refuse("a type")
    tensor["shape"].items(1..MOST_SIDES).forEach { it.integer(-1..LENGTHS.last) }
}

private fun requireLengths(lengths: Json) {
    lengths.requireOnly(listOf("default", "min", "max", "static", "note"))
    val (least, default, most) =
        listOf("min", "default", "max").map { lengths[it].integer(LENGTHS) }
    requireRight(default in least..most) {
        "lengths.default is not between lengths.min and lengths.max"
    }
    val static = lengths["static"].items(0..MOST_STATIC).map { it.integer(LENGTHS) }
    requireRight(static == static.distinct().sorted()) { "lengths.static is not ascending" }
    lengths.optional("note")?.word()
}

private fun requireTokenizer(tokenizer: Json) {
    tokenizer.requireOnly(
        listOf("type", "size", "lower_case", "strip_accents", "split_cjk", "clean_text") +
            listOf("continuation", "max_word_characters", "split_special", "special", "added") +
            listOf("file", "sha256"),
    )
    val size = tokenizer["size"].integer(LEAST_PIECES..MOST_PIECES)
    tokenizer["continuation"].text(LONGEST_CONTINUATION)
    tokenizer["max_word_characters"].integer(1..LONGEST_WORD)
    tokenizer["sha256"].requireDigestForm()
    val special = tokenizer["special"]
    special.requireOnly(listOf("pad", "unknown", "cls", "sep", "mask"))
    val pieces = special.members().values
    for (piece in pieces) {
        piece.requireOnly(listOf("piece", "id"))
        piece["piece"].word()
    }
    val added = tokenizer["added"].items()
    for (token in added) {
        token.requireOnly(
            listOf("content", "id", "special", "lstrip", "rstrip", "single_word", "normalized") +
                "word_piece",
        )
        token["content"].word()
    }
    for ((tokens, what) in listOf(pieces to "special", added to "added")) {
        val ids = tokens.map { it["id"].integer(0 until size) }
        requireRight(ids.toSet().size == ids.size) { "tokenizer.$what has an id twice" }
    }
}
