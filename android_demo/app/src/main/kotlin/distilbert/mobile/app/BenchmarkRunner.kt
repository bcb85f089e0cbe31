// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.app.Application
import android.util.Log
import distilbert.mobile.core.benchmark.BenchmarkException
import distilbert.mobile.core.benchmark.BenchmarkLog
import distilbert.mobile.core.benchmark.BenchmarkPlan
import distilbert.mobile.core.benchmark.BenchmarkResult
import distilbert.mobile.core.benchmark.BenchmarkWorld
import distilbert.mobile.core.benchmark.Progress
import distilbert.mobile.core.benchmark.benchmark
import java.io.File
import java.util.concurrent.CancellationException
import java.util.concurrent.Executor

/** What the benchmark's screen shows. */
internal sealed interface BenchmarkState {
    /** Nothing was measured yet. */
    data object Idle : BenchmarkState

    /** It runs. */
    class Running(val progress: Progress) : BenchmarkState

    /** It is done, and written to [file]. */
    class Done(val result: BenchmarkResult, val file: File) : BenchmarkState

    /** It cannot run, or ended early. */
    class Failed(val reason: Message) : BenchmarkState
}

/**
 * The process's one benchmark: it goes on while screens come and go, and tells the log of
 * everything. To be called on the main thread.
 *
 * @param makeWorld what it runs in.
 * @param isWarm whether a model was opened in this process before.
 * @param worker runs it.
 * @param main runs what tells of a new state.
 */
internal class BenchmarkRunner(
    private val app: Application,
    private val makeWorld: (BenchmarkTies) -> BenchmarkWorld<*, *>,
    private val isWarm: () -> Boolean,
    private val worker: Executor,
    private val main: Executor,
) {
    private var running: Running? = null
    private var hasRun = false

    /** The screen, while there is one. */
    var listener: (() -> Unit)? = null

    var state: BenchmarkState = BenchmarkState.Idle
        private set(value) {
            field = value
            listener?.invoke()
        }

    /** Whether it runs. */
    val isRunning get() = running != null

    /** Starts what [makePlan] says; while another one runs, that one goes on. */
    fun start(runId: String, makePlan: () -> BenchmarkPlan) {
        if (running != null) {
            log(BenchmarkLog.failed(runId, app.getString(R.string.benchmark_running)))
            return
        }
        val plan =
            try {
                makePlan()
            } catch (error: BenchmarkException) {
                return fail(runId, error)
            }
        log(BenchmarkLog.begin(plan.runId))
        state = BenchmarkState.Running(Progress.Opening)
        running = Running(plan, isWarm() || hasRun).also { worker.execute(it::run) }
        hasRun = true
    }

    /** Ends it soon; nothing is kept. */
    fun stop() {
        running?.isStopped = true
    }

    /** The screen went away while it runs. */
    fun hide() {
        running?.wasHidden = true
    }

    private fun fail(runId: String, error: Throwable) {
        val reason =
            if (error is CancellationException) {
                Message(R.string.benchmark_stopped)
            } else {
                Message.of(error, R.string.out_of_memory)
            }
        log(BenchmarkLog.failed(runId, reason.text(app.resources)))
        state = BenchmarkState.Failed(reason)
    }

    private fun log(line: String) {
        Log.i(BenchmarkLog.TAG, line)
    }

    private inner class Running(private val plan: BenchmarkPlan, private val isWarm: Boolean) :
        BenchmarkTies {
        private var lastTold = 0L

        @Volatile
        var isStopped = false

        @Volatile
        var wasHidden = false

        @Suppress("TooGenericExceptionCaught") // Whatever it is becomes a sentence.
        fun run() {
            try {
                val files = BenchmarkFiles.of(app)
                val result = benchmark(plan, makeWorld(this))
                val document = result.document()
                val file = files.write(plan.runId, document)
                BenchmarkLog.json(plan.runId, document).forEach(::log)
                finish {
                    log(BenchmarkLog.done(plan.runId, file.path))
                    state = BenchmarkState.Done(result, file)
                }
            } catch (error: Exception) {
                finish { fail(plan.runId, error) }
            } catch (error: OutOfMemoryError) {
                finish { fail(plan.runId, error) }
            } catch (error: LinkageError) {
                finish { fail(plan.runId, error) }
            }
        }

        override fun isCancelled() = isStopped

        override fun tell(progress: Progress) {
            val now = System.nanoTime()
            val isLast = progress is Progress.Asking && progress.done == progress.of
            if (!isLast && now - lastTold < BETWEEN_NANOSECONDS) return
            lastTold = now
            if (progress is Progress.Asking) log(BenchmarkLog.progress(plan.runId, progress))
            main.execute { if (running === this) state = BenchmarkState.Running(progress) }
        }

        override fun cautions(): List<String> =
            listOfNotNull(
                app.getString(R.string.benchmark_hidden).takeIf { wasHidden },
                app.getString(R.string.benchmark_warm).takeIf { isWarm },
            )

        private fun finish(show: () -> Unit) =
            main.execute {
                running = null
                show()
            }
    }

    private companion object {
        // Often enough to see it move; each one takes the processor for a moment.
        const val BETWEEN_NANOSECONDS = 1_000_000_000L
    }
}
