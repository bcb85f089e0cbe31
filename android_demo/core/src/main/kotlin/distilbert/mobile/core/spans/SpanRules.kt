// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.Json
import distilbert.mobile.core.LENGTHS
import distilbert.mobile.core.LONGEST_PASSAGE
import distilbert.mobile.core.MOST_PIECES
import distilbert.mobile.core.PLACES
import distilbert.mobile.core.integer
import distilbert.mobile.core.items
import distilbert.mobile.core.requireAnswers
import distilbert.mobile.core.requireOnly
import distilbert.mobile.core.requireRight
import distilbert.mobile.core.text

/** Refuses the `limits` and the `search` of question answering that no build writes. */
internal fun requireSpans(json: Json) {
    val limits = json["limits"]
    val names = listOf("max_length", "stride", "max_query", "max_answer", "n_best")
    limits.requireOnly(names)
    for (name in names) limits[name].integer(if (name == "n_best") 1..MOST_BEST else LENGTHS)
    limits["max_length"].integer(1..json["lengths"]["max"].integer())
    json.optional("search")?.requireOnly(listOf("rule", "max_windows"))
}

private const val MOST_BEST = 1000

/** Refuses golden questions that no build writes. */
internal fun requireGoldenQuestion(case: Json) {
    case["question"].text(LONGEST_PASSAGE)
    val passage = case["context"].text(LONGEST_PASSAGE)
    val end = passage.codePointCount(0, passage.length)
    case["window_count"].integer(1 until MOST_PIECES)
    val window = case["windows"].items(1..1).single()
    val ids = window["ids"].items(LENGTHS).map { it.integer(PLACES) }
    val offsets = window["offsets"].items()
    if (window["first"].integer(PLACES) + offsets.size > ids.size) {
        window["offsets"].refuse("no more than there are ids")
    }
    for (offset in offsets) {
        val (from, to) = offset.items(2..2).map { it.integer(PLACES) }
        if (from > to || to > end) offset.refuse("a part of the context")
    }
    for ((name, answer) in requireAnswers(case)) {
        answer["text"].text(LONGEST_PASSAGE)
        val from = answer["start"].integer(PLACES)
        if (from > answer["end"].integer(PLACES) || answer["end"].integer() > end) {
            answer.refuse("a part of the context")
        }
        for (logits in listOf("start_logits", "end_logits")) {
            requireRight(
                answer[logits].floats().size == ids.size,
            ) { "$name has not a logit for each id" }
        }
    }
}
