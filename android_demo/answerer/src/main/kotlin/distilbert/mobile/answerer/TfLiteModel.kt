// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.core.Logits
import distilbert.mobile.core.WindowModel
import org.tensorflow.lite.Interpreter
import java.nio.ByteBuffer

/** A `.tflite` file in the app's runtime; tensors go by their names in the signature. */
internal class TfLiteModel(model: ByteBuffer, threads: Int) :
    WindowModel,
    AutoCloseable {
    private val interpreter = Interpreter(model, Interpreter.Options().setNumThreads(threads))

    override fun run(ids: IntArray, mask: IntArray, segmentIds: IntArray): Logits {
        // Arrays of arrays have a shape: the runtime resizes to it.
        val inputs = mapOf("ids" to ids, "mask" to mask, "segment_ids" to segmentIds)
        val start = arrayOf(FloatArray(ids.size))
        val end = arrayOf(FloatArray(ids.size))
        interpreter.runSignature(
            inputs.mapValues { arrayOf(it.value) },
            mapOf("start_logits" to start, "end_logits" to end),
            "answer",
        )
        return Logits(start[0], end[0])
    }

    override fun close() = interpreter.close()
}
