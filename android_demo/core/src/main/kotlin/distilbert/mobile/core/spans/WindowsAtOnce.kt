// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import java.util.concurrent.ExecutorCompletionService
import java.util.concurrent.ExecutorService
import java.util.concurrent.Executors
import java.util.concurrent.Future
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger

/**
 * Runs windows several at a time, on threads that end with the call.
 *
 * @param count how many windows run at a time.
 * @param run computes the logits of one window; so many threads call it at the same time.
 */
internal class WindowsAtOnce(private val count: Int, private val run: (Window) -> Logits) {
    /**
     * Runs each window and gives its logits to [add], in the order of the windows.
     *
     * No window is running any more when it returns or throws, even if the calling thread is
     * interrupted: a runtime must not be freed below a window. The thread keeps its flag.
     *
     * @param windows each is taken on the calling thread when it can begin; whatever that throws
     *   ends the call.
     * @param add called on the calling thread.
     * @throws Throwable from [run], as it is: that of the first window in order that failed. No
     *   other window begins after a failure.
     */
    fun forEach(windows: Sequence<Window>, add: (Window, Logits) -> Unit) {
        val number = AtomicInteger()
        val pool =
            Executors.newFixedThreadPool(count) { work ->
                Thread(work, "answer-window-${number.incrementAndGet()}").apply { isDaemon = true }
            }
        try {
            Line(pool, add).runAll(windows)
        } finally {
            pool.shutdown()
            uninterruptibly { pool.awaitTermination(Long.MAX_VALUE, TimeUnit.NANOSECONDS) }
        }
    }

    /** The windows that have begun and were not added yet, in their order. */
    private inner class Line(pool: ExecutorService, private val add: (Window, Logits) -> Unit) {
        private val ended = ExecutorCompletionService<Result<Logits>>(pool)
        private val begun = ArrayDeque<Pair<Window, Future<Result<Logits>>>>()
        private var running = 0
        private var hasFailed = false

        /** Whether another window would have no thread, or too many wait for the first one. */
        private val isFull get() = running == count || begun.size == count * LONGEST

        fun runAll(windows: Sequence<Window>) {
            for (window in windows) {
                begun.add(window to ended.submit { runCatching { run(window) } })
                running++
                while (isFull && !hasFailed) {
                    waitForAny()
                    while (begun.firstOrNull()?.second?.isDone == true) addFirst()
                }
                if (hasFailed) break
            }
            // In order, so that the failure of an earlier window comes before that of a later one.
            while (begun.isNotEmpty()) addFirst()
        }

        private fun waitForAny() {
            val result = uninterruptibly { ended.take().get() }
            running--
            hasFailed = result.isFailure
        }

        private fun addFirst() {
            val (window, logits) = begun.removeFirst()
            add(window, uninterruptibly(logits::get).getOrThrow())
        }
    }

    private companion object {
        /**
         * How many windows the line holds for each that runs. The others go on while one is slower,
         * as on a slower core, and memory stays the same for any number of windows.
         */
        const val LONGEST = 2

        /** What [wait] gives, however often the thread is interrupted, which keeps its flag. */
        fun <T> uninterruptibly(wait: () -> T): T {
            var isInterrupted = false
            try {
                while (true) {
                    try {
                        return wait()
                    } catch (_: InterruptedException) {
                        isInterrupted = true
                    }
                }
            } finally {
                if (isInterrupted) Thread.currentThread().interrupt()
            }
        }
    }
}
