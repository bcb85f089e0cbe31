// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import java.util.concurrent.CancellationException
import java.util.concurrent.locks.ReentrantLock

/**
 * Lets one thread at a time do its work, and frees what they share after the last one.
 *
 * @param free frees it; called once.
 */
internal class Access(private val free: () -> Unit) : AutoCloseable {
    private val turn = ReentrantLock()
    private val guard = Any()

    /** Threads that work or wait for their turn; guarded by [guard]. */
    private var inside = 0

    @Volatile
    private var isClosed = false

    /**
     * Does [work] while no other thread does any; work may be done within work.
     *
     * @param name of what is shared, for an error.
     * @param isCancelled see [OpenModel.alone].
     * @throws CancellationException if [close] is called, or the thread interrupted, before the
     *   turn comes; [work] is to throw it later on.
     * @throws IllegalStateException after [close].
     */
    fun <T> alone(name: String, isCancelled: () -> Boolean, work: (() -> Boolean) -> T): T {
        synchronized(guard) {
            check(!isClosed) { "this $name is closed: open another" }
            inside++
        }
        try {
            waitForTurn()
            try {
                if (isClosed) throw CancellationException("this $name was closed meanwhile")
                // The caller's function comes first: it may be what closes this.
                return work { isCancelled() || isClosed || Thread.currentThread().isInterrupted }
            } finally {
                turn.unlock()
            }
        } finally {
            val isLast = synchronized(guard) { --inside == 0 && isClosed }
            if (isLast) free()
        }
    }

    override fun close() {
        val isFree =
            synchronized(guard) {
                if (isClosed) return
                isClosed = true
                inside == 0
            }
        if (isFree) free()
    }

    /** Takes [turn] once; an interrupted thread keeps its flag, as Java's own locks want it. */
    private fun waitForTurn() {
        try {
            turn.lockInterruptibly()
        } catch (error: InterruptedException) {
            Thread.currentThread().interrupt()
            throw CancellationException("the thread was interrupted").initCause(error)
        }
    }
}
