// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.ModelException
import distilbert.mobile.core.TaskModel

/** An opened model that answers questions. */
interface AnswerModel : TaskModel {
    override val description: SpanDescription

    /**
     * The best answer over all windows of the passage.
     *
     * @param padTo pad every window to so many word pieces; null runs each at its own length.
     * @param isCancelled asked while the texts are tokenized and before each window; once it says
     *   so, a `CancellationException`.
     * @throws ModelException if the model cannot be run, or computes no numbers.
     */
    fun answer(
        passage: String,
        question: String,
        padTo: Int? = null,
        isCancelled: () -> Boolean = { false },
    ): Answer

    /**
     * The best answer as far as [options] let the search go; the rest as above. A [passage] that is
     * asked about again is not tokenized again.
     */
    fun answer(
        passage: Passage,
        question: String,
        options: AnswerOptions = AnswerOptions(),
        isCancelled: () -> Boolean = { false },
    ): Answer = answer(passage.text, question, options.padTo, isCancelled)

    /** The best answer, for callers in Java. */
    fun answer(passage: String, question: String): Answer =
        answer(passage, question, null) { false }
}
