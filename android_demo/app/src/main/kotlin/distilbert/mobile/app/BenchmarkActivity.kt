// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.app.Activity
import android.content.ClipData
import android.content.Context
import android.content.Intent
import android.os.Bundle
import android.view.View
import android.view.WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON
import android.widget.ArrayAdapter
import android.widget.Button
import android.widget.ProgressBar
import android.widget.Spinner
import android.widget.TextView
import distilbert.mobile.core.benchmark.BenchmarkPlan
import distilbert.mobile.core.benchmark.InputLengths
import distilbert.mobile.core.benchmark.Progress
import java.text.SimpleDateFormat
import java.util.Date
import java.util.Locale

/**
 * Measures the model on this phone: by a tap, or at once where its intent has no action, as adb
 * sends it (`am start -n distilbert.mobile.app/.BenchmarkActivity --ei threads 4`).
 */
class BenchmarkActivity : Activity() {
    private val runner by lazy { (application as DemoApplication).benchmarks }
    private val threads by lazy { threadCounts() }

    override fun attachBaseContext(base: Context) =
        super.attachBaseContext(base.inLanguageOfSentences())

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.activity_benchmark)
        setActionBar(findViewById(R.id.toolbar))
        actionBar?.setDisplayHomeAsUpEnabled(true)
        choices(R.id.threads, threads.map { it.toString() })
        find<Spinner>(R.id.threads).setSelection(
            threads.indexOfLast { it <= BenchmarkPlan.DEFAULT_THREADS },
        )
        choices(
            R.id.lengths,
            LENGTHS.keys.map { getString(it) },
        )
        choices(R.id.effort, EFFORTS.keys.map { getString(it) })
        find<Button>(R.id.start).setOnClickListener { if (runner.isRunning) stop() else start() }
        find<Button>(R.id.share).setOnClickListener { share() }
        if (savedInstanceState == null) startBy(intent)
    }

    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        setIntent(intent)
        startBy(intent)
    }

    override fun onStart() {
        super.onStart()
        runner.listener = ::show
        show()
    }

    override fun onStop() {
        runner.listener = null
        if (!isChangingConfigurations) runner.hide()
        super.onStop()
    }

    override fun onNavigateUp(): Boolean {
        finish()
        return true
    }

    /** What adb asked for; a screen that only comes back asks for nothing. */
    private fun startBy(intent: Intent) {
        val isOld = intent.flags and Intent.FLAG_ACTIVITY_LAUNCHED_FROM_HISTORY != 0
        if (isOld || intent.action != null) return
        val extras = intent.extras ?: Bundle.EMPTY

        @Suppress("DEPRECATION") // The typed getters know only types that are asked for.
        val values = extras.keySet().associateWith { extras.get(it) }
        val id = values[RUN_ID] as? String
        val shownId = id?.takeIf { BenchmarkPlan.isRunId(it) } ?: timeStamp()
        runner.start(shownId) { BenchmarkPlan.parse(values, shownId) }
    }

    private fun start() {
        val (runs, seconds) = EFFORTS.values.elementAt(chosen(R.id.effort))
        val plan =
            BenchmarkPlan(
                runId = timeStamp(),
                lengths = LENGTHS.values.elementAt(chosen(R.id.lengths)),
                runs = runs,
                seconds = seconds,
                threads = threads[chosen(R.id.threads)],
            )
        runner.start(plan.runId) { plan }
    }

    private fun stop() {
        runner.stop()
        find<Button>(R.id.start).isEnabled = false
    }

    private fun share() {
        val done = runner.state as? BenchmarkState.Done ?: return
        val uri = ReportProvider.uri(this, done.file)
        val send =
            Intent(Intent.ACTION_SEND)
                .setType(ReportProvider.TYPE)
                .putExtra(Intent.EXTRA_STREAM, uri)
                .addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
        send.clipData = ClipData.newRawUri(done.file.name, uri)
        startActivity(Intent.createChooser(send, getString(R.string.share)))
    }

    private fun show() {
        val state = runner.state
        val isRunning = state is BenchmarkState.Running
        if (isRunning) {
            window.addFlags(
                FLAG_KEEP_SCREEN_ON,
            )
        } else {
            window.clearFlags(FLAG_KEEP_SCREEN_ON)
        }
        for (id in INPUTS) find<View>(id).isEnabled = !isRunning
        with(find<Button>(R.id.start)) {
            isEnabled = true
            setText(if (isRunning) R.string.stop else R.string.start)
        }
        find<TextView>(R.id.problem)
            .showText((state as? BenchmarkState.Failed)?.reason?.text(resources))
        showProgress((state as? BenchmarkState.Running)?.progress)
        showResult(state as? BenchmarkState.Done)
    }

    private fun showProgress(progress: Progress?) {
        val bar = find<ProgressBar>(R.id.progress)
        bar.visibleIf(progress != null)
        val done =
            when (progress) {
                is Progress.Testing -> progress.done to progress.of
                is Progress.Asking -> progress.done to progress.of
                is Progress.Opening, null -> null
            }
        bar.isIndeterminate = done == null
        done?.let {
            bar.max = it.second
            bar.progress = it.first
        }
        find<TextView>(R.id.status).showText(
            when (progress) {
                null -> null
                is Progress.Opening -> getString(R.string.benchmark_opening)
                is Progress.Testing -> getString(R.string.testing, progress.done, progress.of)
                is Progress.Asking ->
                    with(progress) { getString(R.string.benchmark_asking, this.done, of, seconds) }
            },
        )
    }

    private fun showResult(done: BenchmarkState.Done?) {
        find<View>(R.id.result).visibleIf(done != null)
        if (done == null) return
        val text = BenchmarkText(resources, done.result)
        find<TextView>(R.id.figures).showText(text.figures())
        find<TextView>(R.id.start_figures).showText(text.coldStart())
        find<TextView>(R.id.cautions).showText(text.cautions())
        find<TextView>(R.id.file).showText(getString(R.string.written, done.file.name))
        find<PlotView>(R.id.plot).show(done.result.points)
    }

    private fun choices(id: Int, titles: List<String>) {
        find<Spinner>(id).adapter =
            ArrayAdapter(this, R.layout.choice, titles).apply {
                setDropDownViewResource(R.layout.choice)
            }
    }

    private fun chosen(id: Int) = find<Spinner>(id).selectedItemPosition

    private fun <T : View> find(id: Int): T = findViewById(id)

    /** In ASCII digits, also where the phone writes others: a file and adb are named by it. */
    private fun timeStamp() = SimpleDateFormat("yyyyMMdd-HHmmss", Locale.ROOT).format(Date())

    internal companion object {
        /** Opens the screen and starts nothing. */
        fun screen(context: Context) =
            Intent(Intent.ACTION_VIEW).setClass(context, BenchmarkActivity::class.java)

        private const val RUN_ID = "run_id"
        private val INPUTS = listOf(R.id.threads, R.id.lengths, R.id.effort)
        private val LENGTHS =
            mapOf(
                R.string.lengths_both to InputLengths.entries.toList(),
                R.string.lengths_natural to listOf(InputLengths.NATURAL),
                R.string.lengths_padded to listOf(InputLengths.PADDED),
            )

        /** Queries and seconds. */
        private val EFFORTS =
            mapOf(
                R.string.effort_valid to
                    (BenchmarkPlan.VALID_QUERIES to BenchmarkPlan.VALID_SECONDS),
                R.string.effort_quick to (32 to 0),
            )

        /** 1, 2, 4 and so on, and all cores. */
        private fun threadCounts(): List<Int> {
            val cores = Runtime.getRuntime().availableProcessors()
            return (generateSequence(1) { it * 2 }.takeWhile { it < cores } + cores).toList()
        }
    }
}
