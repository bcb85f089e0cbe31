// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.Context
import android.os.SystemClock
import distilbert.mobile.core.TaskModel
import distilbert.mobile.core.TaskResult
import distilbert.mobile.core.benchmark.BenchmarkWorld
import distilbert.mobile.core.benchmark.Phone
import distilbert.mobile.core.benchmark.Progress
import distilbert.mobile.core.benchmark.Workload
import distilbert.mobile.core.classes.BenchmarkTexts
import distilbert.mobile.core.classes.ClassModel
import distilbert.mobile.core.classes.Classification
import distilbert.mobile.core.classes.GoldenText
import distilbert.mobile.core.spans.Answer
import distilbert.mobile.core.spans.AnswerModel
import distilbert.mobile.core.spans.BenchmarkQuestions
import distilbert.mobile.core.spans.GoldenCase
import java.io.FileNotFoundException
import java.time.Instant
import java.time.temporal.ChronoUnit

/** What a running benchmark is told, and whom it tells. */
internal interface BenchmarkTies {
    fun isCancelled(): Boolean

    fun tell(progress: Progress)

    /** Reasons to doubt what is measured. */
    fun cautions(): List<String>
}

/** What a benchmark does for one task. */
internal interface TaskBenchmark<M : TaskModel, R : TaskResult> {
    /** Opens a certain [file], null for the default one, with so many [threads]. */
    fun open(context: Context, file: String?, threads: Int): M

    /** The queries for [model], from files of the build that [read] gives by their names. */
    fun workload(model: M, read: (String) -> String): Workload<M, R>
}

/** The questions of `questions.json`, or of the golden cases. */
internal object QuestionsBenchmark : TaskBenchmark<AnswerModel, Answer> {
    override fun open(context: Context, file: String?, threads: Int): AnswerModel =
        AssetModel.open(context, file, threads)

    override fun workload(model: AnswerModel, read: (String) -> String): BenchmarkQuestions =
        try {
            BenchmarkQuestions.parse(read("questions.json"))
        } catch (_: FileNotFoundException) {
            BenchmarkQuestions.of(GoldenCase.parse(read(model.description.golden)))
        }
}

/** The texts of `texts.json`, or of the golden cases. */
internal object TextsBenchmark : TaskBenchmark<ClassModel, Classification> {
    override fun open(context: Context, file: String?, threads: Int): ClassModel =
        AssetModel.openClassifier(context, file, threads)

    override fun workload(model: ClassModel, read: (String) -> String): BenchmarkTexts =
        try {
            BenchmarkTexts.parse(read("texts.json"), model.description)
        } catch (_: FileNotFoundException) {
            BenchmarkTexts.of(GoldenText.parse(read(model.description.golden)))
        }
}

/** A benchmark on this phone, of the model among the app's assets. */
internal class PhoneWorld<M : TaskModel, R : TaskResult>(
    private val context: Context,
    private val ties: BenchmarkTies,
    private val task: TaskBenchmark<M, R>,
) : BenchmarkWorld<M, R> {
    override val phone: Phone = AndroidPhone(context, others = ties::cautions)
    override val created: String get() = Instant.now().truncatedTo(ChronoUnit.SECONDS).toString()

    override fun clock(): Long = SystemClock.elapsedRealtimeNanos()

    override fun open(file: String?, threads: Int): M = task.open(context, file, threads)

    override fun workload(model: M): Workload<M, R> =
        task.workload(model) { AssetModel.read(context, it) }

    override fun isCancelled() = ties.isCancelled()

    override fun tell(progress: Progress) = ties.tell(progress)
}
