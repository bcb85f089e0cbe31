// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.core.ModelException
import distilbert.mobile.core.ModelFile
import distilbert.mobile.core.SelfTest
import distilbert.mobile.core.TaskResult

/**
 * Hears what an opened model does, for an app's metrics. It is called on the thread that asked, and
 * should return soon: other threads may wait.
 */
interface ModelListener {
    /**
     * A query has its [result], which holds its times and its number of word pieces.
     *
     * @param waited milliseconds that the query waited for other queries.
     */
    fun onResult(result: TaskResult, waited: Double) = Unit

    /** The self-test of a [file] on a [runtime] ended with [result]. */
    fun onSelfTest(file: ModelFile, runtime: String, result: SelfTest) = Unit

    /** A query failed; a query that was taken back did not. */
    fun onFailure(error: ModelException) = Unit
}
