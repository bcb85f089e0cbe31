// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.classes

import distilbert.mobile.core.Json
import distilbert.mobile.core.LENGTHS
import distilbert.mobile.core.LONGEST_PASSAGE
import distilbert.mobile.core.PLACES
import distilbert.mobile.core.integer
import distilbert.mobile.core.items
import distilbert.mobile.core.requireAnswers
import distilbert.mobile.core.requireRight
import distilbert.mobile.core.text
import distilbert.mobile.core.word

/** Refuses golden texts that no build writes. */
internal fun requireGoldenText(case: Json) {
    case["text"].text(LONGEST_PASSAGE)
    case.optional("pair")?.text(LONGEST_PASSAGE)
    val ids = case["ids"].items(LENGTHS).map { it.integer(PLACES) }
    val segments = case["segment_ids"].items(LENGTHS).map { it.integer(0..1) }
    requireRight(segments.size == ids.size) { "a case has not a segment for each id" }
    val sizes =
        requireAnswers(case).map { (_, answer) ->
            answer.optional("label")?.word()
            answer.optional("probability")?.let {
                if (it.number() !in 0.0..1.0) it.refuse("a number from 0 to 1")
            }
            answer["logits"].items(LENGTHS).size
        }
    requireRight(sizes.toSet().size == 1) { "a case has files with different numbers of logits" }
}
