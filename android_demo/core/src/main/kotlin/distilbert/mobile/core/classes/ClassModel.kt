// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.classes

import distilbert.mobile.core.ModelException
import distilbert.mobile.core.TaskModel

/** An opened model that classifies texts or pairs of texts. */
interface ClassModel : TaskModel {
    override val description: ClassDescription

    /**
     * The class of a text or of a pair, or the number that a regression predicts.
     *
     * @param pair the second text; null for a model of single texts.
     * @param padTo pad the input to so many word pieces; null runs it at its own length.
     * @param isCancelled asked before the model runs; once it says so, a `CancellationException`.
     * @throws ModelException if the model cannot be run.
     */
    fun classify(
        text: String,
        pair: String? = null,
        padTo: Int? = null,
        isCancelled: () -> Boolean = { false },
    ): Classification

    /** The class of a text, for callers in Java. */
    fun classify(text: String): Classification = classify(text, null, null) { false }
}
