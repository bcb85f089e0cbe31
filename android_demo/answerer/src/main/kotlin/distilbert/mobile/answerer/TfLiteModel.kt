// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.core.ErrorKind
import distilbert.mobile.core.ModelDescription
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.ModelFile
import distilbert.mobile.core.Predictor
import org.tensorflow.lite.Interpreter
import java.nio.ByteBuffer

/**
 * A `.tflite` file in the app's runtime; tensors go by their names in the signature.
 *
 * @param bytes of the file, mapped: the runtime reads weights in place.
 * @param file which one it is.
 * @param threads how many the runtime computes with.
 * @throws ModelException if the runtime refuses the file, or there is no memory for it.
 */
internal class TfLiteModel(
    bytes: ByteBuffer,
    private val file: ModelFile,
    private val description: ModelDescription,
    threads: Int,
) : EngineModel {
    private val version = Runtime.current()

    override val runtime = version.toString()

    override val remedy get() = version.insteadOf(file, description)

    private val interpreter =
        translated { Interpreter(bytes, Interpreter.Options().setNumThreads(threads)) }

    init {
        val tensors = (description.inputs + description.outputs).map { it.name }.toSet()
        val expected = signatures().associateWith { tensors }
        val found =
            interpreter.signatureKeys.associateWith {
                interpreter.getSignatureInputs(it).toSet() + interpreter.getSignatureOutputs(it)
            }
        if (!found.entries.containsAll(expected.entries)) {
            interpreter.close()
            throw ModelException(
                "${file.path} has the signatures $found, model.json promises $expected: copy " +
                    "both from the same build",
            )
        }
    }

    override fun run(ids: IntArray, mask: IntArray, segmentIds: IntArray): List<FloatArray> {
        val outputs = description.outputs.map { FloatArray(it.size(ids.size)) }
        // An array of arrays has a shape, [1, n]: the runtime resizes to it.
        val inputs = listOf(ids, mask, segmentIds).map { arrayOf(it) }
        translated {
            interpreter.runSignature(
                Predictor.INPUTS.zip(inputs).toMap(),
                description.outputs
                    .zip(outputs) { output, values -> output.name to arrayOf(values) }
                    .toMap(),
                signature(ids.size),
            )
        }
        return outputs
    }

    override fun close() = interpreter.close()

    private fun signatures(): List<String> =
        description.lengths.static
            .map(::signature)
            .ifEmpty { listOf(signature(0)) }

    private fun signature(length: Int): String =
        if (description.lengths.static.isEmpty()) description.signature else "length_$length"

    /** The runtime's errors as one sentence. */
    private fun <T> translated(call: () -> T): T =
        try {
            call()
        } catch (error: IllegalArgumentException) {
            throw refused(error)
        } catch (error: IllegalStateException) {
            throw refused(error)
        } catch (error: OutOfMemoryError) {
            throw ModelException(
                "there is not enough memory for ${file.path} (${file.bytes shr MEBIBYTE} MiB): " +
                    "close other apps, or ship a smaller file",
                error,
                ErrorKind.MEMORY,
            )
        }

    private fun refused(error: RuntimeException): ModelException {
        // The first sentence of several lines.
        val reason =
            (error.message ?: error.toString())
                .removePrefix("Internal error: ")
                .replace(Regex("\\s+"), " ")
                .substringBefore(". ")
        val advice =
            if (version.computes(file)) {
                "copy the file and model.json from the same build"
            } else {
                remedy
            }
        return ModelException(
            "$runtime refuses ${file.path} ($reason): $advice",
            error,
            ErrorKind.RUNTIME,
        )
    }

    private companion object {
        const val MEBIBYTE = 20
    }
}
