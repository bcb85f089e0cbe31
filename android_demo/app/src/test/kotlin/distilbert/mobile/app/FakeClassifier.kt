// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import distilbert.mobile.core.ModelFile
import distilbert.mobile.core.SelfTest
import distilbert.mobile.core.Times
import distilbert.mobile.core.classes.ClassDescription
import distilbert.mobile.core.classes.ClassModel
import distilbert.mobile.core.classes.Classification
import distilbert.mobile.core.classes.Score
import distilbert.mobile.testing.Builds
import java.io.File
import java.util.concurrent.CancellationException
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit

/** Finds a text positive; a pair as far apart as their lengths. Counts what is done to it. */
internal class FakeClassifier(folder: File = Builds.tinyClasses) : ClassModel {
    override val description = ClassDescription.parse(folder.resolve("model.json").readText())
    override val file: ModelFile = description.files.values.first()
    override val runtime = "TensorFlow Lite 2.16.1"
    val asked = ArrayList<Pair<String, String?>>()
    var isClosed = false
    var problem: String? = null

    /** A result waits for it. */
    var gate: CountDownLatch? = null

    override fun classify(
        text: String,
        pair: String?,
        padTo: Int?,
        isCancelled: () -> Boolean,
    ): Classification {
        asked.add(text to pair)
        while (gate?.await(5, TimeUnit.MILLISECONDS) == false) {
            if (isCancelled()) throw CancellationException()
        }
        val scores =
            listOf("positive" to 0.75, "neutral" to 0.2, "negative" to 0.05)
                .map { Score(it.first, it.second) }
                .takeUnless { description.isRegression }
                .orEmpty()
        return Classification(
            label = scores.firstOrNull()?.label.orEmpty(),
            probability = scores.firstOrNull()?.probability ?: 0.0,
            scores = scores,
            value = pair?.let { (it.length - text.length).toDouble() } ?: 0.0,
            tokens = 8,
            times = Times(0.25, 15.0, 0.125),
        )
    }

    override fun selfTest(isCancelled: () -> Boolean, onProgress: (Int, Int) -> Unit) =
        SelfTest(cases = 1, largestError = 0f, nearTies = 0, problem = problem)

    override fun close() {
        isClosed = true
    }
}
