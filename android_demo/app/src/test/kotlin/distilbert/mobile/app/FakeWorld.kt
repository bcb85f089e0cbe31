// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import distilbert.mobile.core.Times
import distilbert.mobile.core.benchmark.BenchmarkWorld
import distilbert.mobile.core.benchmark.Device
import distilbert.mobile.core.benchmark.Phone
import distilbert.mobile.core.benchmark.PhoneState
import distilbert.mobile.core.benchmark.ProcessMemory
import distilbert.mobile.core.benchmark.Progress
import distilbert.mobile.core.spans.Answer
import distilbert.mobile.core.spans.AnswerModel
import distilbert.mobile.core.spans.BenchmarkQuestion
import distilbert.mobile.core.spans.BenchmarkQuestions

/** A phone, a clock and a model that are the same every time. */
internal class FakeWorld(
    private val ties: BenchmarkTies,
    private val model: () -> FakeModel = ::VaryingModel,
) : BenchmarkWorld<AnswerModel, Answer> {
    private var nanoseconds = 0L
    val opened = ArrayList<FakeModel>()

    override val phone = FakePhone(ties)
    override val created = "2026-01-31T12:00:00Z"

    /** 5 ms go by between two looks at it. */
    override fun clock(): Long {
        nanoseconds += 5_000_000
        return nanoseconds
    }

    override fun open(file: String?, threads: Int): AnswerModel = model().also(opened::add)

    override fun workload(model: AnswerModel) =
        BenchmarkQuestions(
            source = "embedded dev",
            sha256 = "1".repeat(64),
            available = 391,
            questions =
                Sample.all(app.resources).flatMap { sample ->
                    sample.questions.map {
                        BenchmarkQuestion(sample.passage, it, listOf("the keeper", "swift"))
                    }
                },
        )

    override fun isCancelled() = ties.isCancelled()

    override fun tell(progress: Progress) = ties.tell(progress)
}

/** Takes a little longer or shorter each time, in whole ten-thousandths of a millisecond. */
internal class VaryingModel : FakeModel() {
    override fun times(passage: String, padTo: Int?): Times {
        val plain = super.times(passage, padTo)
        val varied = asked * 7919 % 97 / 100.0
        return Times(plain.tokenizing + varied, plain.inference + varied, plain.decoding)
    }
}

internal class FakePhone(private val ties: BenchmarkTies) : Phone {
    private var looks = 0

    override fun device() =
        Device(
            manufacturer = "Fictitious",
            model = "Phone 1",
            soc = "Fictitious F1",
            cpu = "Arm implementer 0x41 part 0xd46 and 0xd4d",
            architecture = "aarch64",
            cores = 8,
            flags = listOf("asimd", "asimdhp", "asimddp", "i8mm"),
            governor = "schedutil",
            memoryBytes = 8_000_000_000,
            android = "15",
            api = 35,
            abis = listOf("arm64-v8a", "armeabi-v7a"),
            kernel = "Linux 6.1.0",
            appVersion = "0.1.0",
        )

    /** Warmer each time. */
    override fun state() =
        PhoneState(
            batteryPercent = 80.0,
            batteryCelsius = 29.5 + looks,
            charging = false,
            thermalStatus = looks++,
            clocksKhz = List(8) { if (it < 4) 1_800_000 else 2_400_000 },
        )

    override fun memory() =
        ProcessMemory(
            peak = 160_000_000L + looks * 60_000_000L,
            resident = 100_000_000L,
            anonymous = 40_000_000L + looks * 30_000_000L,
            fileBacked = 60_000_000L,
        )

    override fun cautions() = ties.cautions()
}
