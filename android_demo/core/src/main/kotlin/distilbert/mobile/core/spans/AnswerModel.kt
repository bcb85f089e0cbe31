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
     * @param isCancelled asked before each window; once it says so, a `CancellationException`.
     * @throws ModelException if the model cannot be run.
     */
    fun answer(
        passage: String,
        question: String,
        padTo: Int? = null,
        isCancelled: () -> Boolean = { false },
    ): Answer
}
