// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.util.concurrent.CancellationException
import java.util.concurrent.CountDownLatch
import java.util.concurrent.ExecutionException
import java.util.concurrent.Executors
import java.util.concurrent.Future
import java.util.concurrent.atomic.AtomicInteger

/** How threads take turns, and what becomes of them where the model is closed. */
class AccessTest {
    private val freed = AtomicInteger()
    private val access = Access(freed::incrementAndGet)

    @Test
    fun `one thread works, the others wait`() {
        val working = AtomicInteger()
        val pool = Executors.newFixedThreadPool(8)
        val tasks =
            List(32) {
                pool.submit {
                    work {
                        assertEquals(1, working.incrementAndGet())
                        Thread.sleep(1)
                        working.decrementAndGet()
                    }
                }
            }
        tasks.forEach { it.get() }
        pool.shutdown()
        assertEquals(0, freed.get())
        access.close()
        access.close()
        assertEquals(1, freed.get())
        assertThrows(IllegalStateException::class.java) { work { } }
    }

    @Test
    fun `closing cancels all sixteen callers and waits for none`() {
        val pool = Executors.newFixedThreadPool(CALLERS)
        val begun = CountDownLatch(1)
        val end = CountDownLatch(1)
        val entered = AtomicInteger()
        val tasks: List<Future<*>> =
            List(CALLERS) {
                pool.submit {
                    entered.incrementAndGet()
                    access.alone("model", { false }) { isStopped ->
                        begun.countDown()
                        end.await()
                        if (isStopped()) throw CancellationException()
                    }
                }
            }
        begun.await()
        while (entered.get() < CALLERS) Thread.sleep(1)
        Thread.sleep(SETTLED)
        access.close()
        assertEquals("work is under way", 0, freed.get())
        end.countDown()
        for (task in tasks) {
            val error = assertThrows(ExecutionException::class.java) { task.get() }
            assertTrue("$error", error.cause is CancellationException)
        }
        assertEquals(1, freed.get())
        pool.shutdown()
    }

    @Test
    fun `closing within isCancelled stops the same thread`() {
        assertThrows(CancellationException::class.java) {
            access.alone(
                "model",
                isCancelled = {
                    access.close()
                    assertEquals(0, freed.get())
                    false
                },
            ) { isStopped -> if (isStopped()) throw CancellationException() }
        }
        assertEquals(1, freed.get())
    }

    @Test
    fun `work may be done within work`() {
        assertEquals(3, work { work { 3 } })
    }

    @Test
    fun `an interrupted thread stops, working or waiting`() {
        val begun = CountDownLatch(1)
        val end = CountDownLatch(1)
        val pool = Executors.newFixedThreadPool(2)
        val working =
            pool.submit {
                access.alone("model", { false }) { isStopped ->
                    begun.countDown()
                    while (!isStopped()) Thread.onSpinWait()
                    end.countDown()
                    throw CancellationException()
                }
            }
        begun.await()
        var caught: Throwable? = null
        val waiting = Thread { caught = runCatching { work { } }.exceptionOrNull() }
        waiting.start()
        waiting.interrupt()
        waiting.join()
        assertTrue("$caught", caught is CancellationException)
        working.cancel(true)
        end.await()
        pool.shutdown()
    }

    private fun <T> work(work: () -> T): T = access.alone("model", { false }) { work() }

    private companion object {
        const val CALLERS = 16

        /** Milliseconds until threads that entered wait for their turn. */
        const val SETTLED = 50L
    }
}
