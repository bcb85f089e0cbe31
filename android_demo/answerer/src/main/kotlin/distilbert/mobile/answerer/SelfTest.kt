// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.core.Answerer
import distilbert.mobile.core.ModelDescription
import distilbert.mobile.core.ModelFile

/**
 * What came of the golden cases on this device.
 *
 * @property cases how many were compared.
 * @property largestError of a logit.
 * @property nearTies answers that differ because two score alike here.
 * @property problem what differs, where, and what to ship instead, in a sentence or two; null if
 *   the test is passed.
 */
class SelfTest internal constructor(
    val cases: Int,
    val largestError: Float,
    val nearTies: Int,
    val problem: String?,
) {
    /** Whether the file may be used on this device. */
    val isPassed get() = problem == null

    internal companion object {
        fun run(
            folder: ModelFolder,
            description: ModelDescription,
            file: ModelFile,
            answerer: Answerer,
            isCancelled: () -> Boolean,
            onProgress: (done: Int, of: Int) -> Unit,
        ): SelfTest = TODO("$folder, $description, $file, $answerer, ${isCancelled()}, $onProgress")
    }
}
