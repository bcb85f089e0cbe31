// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.app.Application
import android.os.Handler
import android.os.Looper
import distilbert.mobile.answerer.PassedTests
import distilbert.mobile.core.benchmark.BenchmarkWorld
import distilbert.mobile.core.classes.ClassDescription
import distilbert.mobile.core.classes.ClassModel
import distilbert.mobile.core.spans.AnswerModel
import java.util.concurrent.Executor
import java.util.concurrent.ExecutorService
import java.util.concurrent.Executors

/** What lives as long as the process: one thread for the model, and what is done on it. */
class DemoApplication : Application() {
    /** Runs what takes long, one after another. */
    internal val worker: ExecutorService by lazy { Executors.newSingleThreadExecutor() }

    /** Runs what touches a screen. */
    internal val main: Executor by lazy {
        val handler = Handler(Looper.getMainLooper())
        Executor { handler.post(it) }
    }

    /** The task that `model.json` names; a test names another one before the first screen. */
    internal var task: () -> String? = { AssetModel.task(this) }

    /** Opens the model; a test puts another one here before the first screen. */
    internal var openModel: () -> AnswerModel = { AssetModel.open(this) }

    /** The same for a model that classifies texts. */
    internal var openClassifier: () -> ClassModel = { AssetModel.openClassifier(this) }

    /** The world a benchmark runs in; a test puts another one here as well. */
    internal var benchmarkWorld: (BenchmarkTies) -> BenchmarkWorld<*, *> = {
        if (task() == ClassDescription.TASK) {
            PhoneWorld(this, it, TextsBenchmark)
        } else {
            PhoneWorld(this, it, QuestionsBenchmark)
        }
    }

    private val passed by lazy { PassedTests(this) }
    internal val models by lazy { ModelKeeper({ openModel() }, passed, worker, main) }
    internal val classifiers by lazy { ModelKeeper({ openClassifier() }, passed, worker, main) }
    internal val benchmarks by lazy {
        val hasOpened = { models.hasOpened || classifiers.hasOpened }
        BenchmarkRunner(this, { benchmarkWorld(it) }, hasOpened, worker, main)
    }
}
