// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import distilbert.mobile.core.TaskModel
import java.util.concurrent.CancellationException
import java.util.concurrent.Executor

/** What a screen shows of a query, such as a question. */
internal sealed interface QueryState<out Q, out R> {
    /** Nothing is asked. */
    data object Idle : QueryState<Nothing, Nothing>

    /** [query] waits for the model, or for its result. */
    class Running<out Q>(val query: Q) : QueryState<Q, Nothing>

    /** [query] has its [result]. */
    class Done<out Q, out R>(val query: Q, val result: R) : QueryState<Q, R>

    /** The query has no result, for [reason]. */
    class Failed(val reason: Message) : QueryState<Nothing, Nothing>
}

/**
 * One screen's query, from asking to its result. It lives on when the screen is turned; to be
 * called on the main thread.
 *
 * @param worker runs the model.
 * @param main runs what tells of a new state.
 */
internal abstract class QuerySession<M : TaskModel, Q, T>(
    private val models: ModelKeeper<M>,
    private val worker: Executor,
    private val main: Executor,
) {
    private val modelListener: (ModelState<M>) -> Unit = ::onModel
    private var running: Running? = null

    /** The screen, while there is one. */
    var listener: (() -> Unit)? = null

    val model: ModelState<M> get() = models.state

    var state: QueryState<Q, T> = QueryState.Idle
        private set(value) {
            field = value
            listener?.invoke()
        }

    init {
        models.acquire(modelListener)
    }

    /** Why [query] cannot be asked; null if it can. */
    protected abstract fun problem(query: Q): Message?

    /** The result of [query], on the worker's thread. */
    protected abstract fun result(model: M, query: Q, isCancelled: () -> Boolean): T

    /**
     * Asks, now or once the model is ready; a former query is taken back. A model that cannot be
     * used is not asked: the screen says why.
     */
    fun ask(query: Q) {
        cancel()
        val problem = problem(query)
        if (problem != null) {
            state = QueryState.Failed(problem)
        } else if (model !is ModelState.Unusable) {
            state = QueryState.Running(query)
            start()
        }
    }

    /** Takes the query back, and forgets its result. */
    fun cancel() {
        running?.isCancelled = true
        running = null
        if (state != QueryState.Idle) state = QueryState.Idle
    }

    /** A query of other texts than those on the screen, [shown], is forgotten. */
    fun edited(shown: Q) {
        val isSame =
            when (val state = state) {
                is QueryState.Idle -> true
                is QueryState.Failed -> false
                is QueryState.Running -> state.query == shown
                is QueryState.Done -> state.query == shown
            }
        if (!isSame) cancel()
    }

    /** The screen is gone for good. */
    fun close() {
        listener = null
        cancel()
        models.release(modelListener)
    }

    private fun onModel(state: ModelState<M>) {
        if (state is ModelState.Unusable && this.state is QueryState.Running) cancel()
        start()
        listener?.invoke()
    }

    private fun start() {
        val asking = state as? QueryState.Running ?: return
        val ready = model as? ModelState.Ready ?: return
        if (running == null) {
            running = Running(asking.query, ready.model).also { worker.execute(it::run) }
        }
    }

    private inner class Running(private val query: Q, private val model: M) {
        @Volatile
        var isCancelled = false

        @Suppress("TooGenericExceptionCaught") // Whatever it is becomes a sentence.
        fun run() {
            try {
                tell(QueryState.Done(query, result(model, query) { isCancelled }))
            } catch (_: CancellationException) {
                tell(QueryState.Idle)
            } catch (error: Exception) {
                tell(QueryState.Failed(Message.of(error, R.string.out_of_memory_answer)))
            } catch (error: OutOfMemoryError) {
                tell(QueryState.Failed(Message.of(error, R.string.out_of_memory_answer)))
            }
        }

        private fun tell(next: QueryState<Q, T>) =
            main.execute {
                if (running === this) {
                    running = null
                    state = next
                }
            }
    }
}
