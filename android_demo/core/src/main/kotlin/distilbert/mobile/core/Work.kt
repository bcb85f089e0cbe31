// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

import java.util.concurrent.CancellationException

/**
 * Work on a text that its caller can take back.
 *
 * @param isCancelled asked once in a while, on the thread that works.
 */
internal class Work(private val isCancelled: () -> Boolean) {
    private var steps = 0

    /**
     * To be called for each character.
     *
     * @throws CancellationException once the work is taken back.
     */
    fun step() {
        if (steps++ % STEPS != 0) return
        if (isCancelled()) throw CancellationException("the text was taken back")
    }

    companion object {
        /** Work that nobody takes back. */
        val ENDLESS = Work { false }

        /** Fewer than a millisecond's worth on a phone. */
        private const val STEPS = 4096
    }
}
