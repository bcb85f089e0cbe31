// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.Context
import android.os.SystemClock
import distilbert.mobile.core.benchmark.BenchmarkWorld
import distilbert.mobile.core.benchmark.Phone
import distilbert.mobile.core.benchmark.Progress
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

/** A benchmark on this phone, of the model among the app's assets. */
internal class PhoneWorld(private val context: Context, private val ties: BenchmarkTies) :
    BenchmarkWorld<AnswerModel, Answer> {
    override val phone: Phone = AndroidPhone(context, others = ties::cautions)
    override val created: String get() = Instant.now().truncatedTo(ChronoUnit.SECONDS).toString()

    override fun clock(): Long = SystemClock.elapsedRealtimeNanos()

    override fun open(file: String?, threads: Int): AnswerModel =
        AssetModel.open(context, file, threads)

    override fun workload(model: AnswerModel): BenchmarkQuestions =
        try {
            BenchmarkQuestions.parse(read(QUESTIONS))
        } catch (_: FileNotFoundException) {
            BenchmarkQuestions.of(GoldenCase.parse(read(model.description.golden)))
        }

    override fun isCancelled() = ties.isCancelled()

    override fun tell(progress: Progress) = ties.tell(progress)

    private fun read(name: String): String =
        context.assets.open("${AssetModel.FOLDER}/$name").use { it.readBytes().decodeToString() }

    private companion object {
        const val QUESTIONS = "questions.json"
    }
}
