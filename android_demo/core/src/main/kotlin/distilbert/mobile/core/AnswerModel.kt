// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

/** A model that answers questions: what a screen and a benchmark need, and a test can stand in. */
interface AnswerModel : AutoCloseable {
    /** What `model.json` says. */
    val description: ModelDescription

    /** The file that was opened. */
    val file: ModelFile

    /** What runs it, with its version: `LiteRT 2.3.0`. */
    val runtime: String

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

    /**
     * Answers the golden cases.
     *
     * @param onProgress called with how many are done, of how many.
     * @return null where all answers are right, else a sentence for the user.
     */
    fun selfTest(isCancelled: () -> Boolean, onProgress: (Int, Int) -> Unit): String?
}
