// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import distilbert.mobile.answerer.PassedTests
import distilbert.mobile.core.TaskModel
import java.util.concurrent.CancellationException
import java.util.concurrent.Executor

/** What a screen shows of the model. */
internal sealed interface ModelState<out M : TaskModel> {
    /** It is being opened. */
    data object Opening : ModelState<Nothing>

    /** Golden cases are being answered, [done] of [of]. */
    data class Testing(val done: Int, val of: Int) : ModelState<Nothing>

    /** It can be asked. */
    class Ready<out M : TaskModel>(val model: M) : ModelState<M>

    /** It cannot be used, or must not. */
    class Unusable(val reason: Message) : ModelState<Nothing>
}

/**
 * The one model of all screens: opened for the first, tested where it was not, closed after the
 * last. To be called on the main thread.
 *
 * @param open called on [worker].
 * @param passed which models need no test.
 * @param main runs what tells of a new state.
 */
internal class ModelKeeper<M : TaskModel>(
    private val open: () -> M,
    private val passed: PassedTests,
    private val worker: Executor,
    private val main: Executor,
) {
    private var opening: Opening? = null
    private val users = LinkedHashSet<(ModelState<M>) -> Unit>()

    var state: ModelState<M> = ModelState.Opening
        private set

    /** Whether a model was ever opened, or was to be. */
    var hasOpened = false
        private set

    /** From now on [user] is told of each new state; the present one is [state]. */
    fun acquire(user: (ModelState<M>) -> Unit) {
        if (users.add(user) && opening == null) {
            hasOpened = true
            opening = Opening().also { worker.execute(it::run) }
        }
    }

    /** The opposite of [acquire]. */
    fun release(user: (ModelState<M>) -> Unit) {
        if (!users.remove(user) || users.isNotEmpty()) return
        opening?.stop()
        opening = null
        state = ModelState.Opening
    }

    /** One model from its opening to its end; what a former one says late is not heard. */
    private inner class Opening {
        private var model: M? = null

        @Volatile
        private var isStopped = false

        @Suppress("TooGenericExceptionCaught") // Whatever it is becomes a sentence.
        fun run() {
            try {
                if (isStopped) return
                val found = open().also { model = it }
                val problem = if (found in passed) null else test(found)
                if (problem == null) {
                    passed.add(found)
                    tell(ModelState.Ready(found))
                } else {
                    close()
                    tell(ModelState.Unusable(Message.verbatim(problem)))
                }
            } catch (_: CancellationException) {
                close()
            } catch (error: Exception) {
                fail(error)
            } catch (error: OutOfMemoryError) {
                fail(error)
            } catch (error: LinkageError) {
                fail(error)
            }
        }

        fun stop() {
            isStopped = true
            worker.execute(::close)
        }

        private fun test(found: M): String? =
            found
                .selfTest({ isStopped }) { done, of -> tell(ModelState.Testing(done, of)) }
                .problem

        private fun fail(error: Throwable) {
            close()
            tell(ModelState.Unusable(Message.of(error, R.string.out_of_memory)))
        }

        private fun close() {
            model?.close()
            model = null
        }

        private fun tell(next: ModelState<M>) =
            main.execute {
                if (!isStopped) {
                    state = next
                    users.toList().forEach { it(next) }
                }
            }
    }
}
