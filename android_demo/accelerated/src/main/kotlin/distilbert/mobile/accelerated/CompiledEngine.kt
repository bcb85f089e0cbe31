// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.accelerated

import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.Environment
import com.google.ai.edge.litert.LiteRtException
import com.google.ai.edge.litert.TensorBuffer
import distilbert.mobile.answerer.Engine
import distilbert.mobile.answerer.EngineModel
import distilbert.mobile.answerer.EngineSource
import distilbert.mobile.core.ErrorKind
import distilbert.mobile.core.ModelDescription
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.Predictor

/**
 * LiteRT 2's `CompiledModel`, which can run a file on a GPU or an NPU.
 *
 * ```
 * QuestionAnswerer.firstRightFromAssets(context, engine = CompiledEngine(setOf(Accelerator.GPU)))
 * ```
 *
 * It needs files of fixed lengths (`--static-lengths`). It was written after LiteRT's published
 * sources and never ran on a phone: use no file that does not pass the self-test there.
 *
 * @param accelerators where operators may run; with [Accelerator.CPU] among them, the CPU runs what
 *   the others lack.
 * @param environment LiteRT's, such as one with the libraries of an NPU; null makes a new one. It
 *   must stay open as long as the model.
 * @param configure changes LiteRT's options, such as the precision of a GPU.
 * @throws IllegalArgumentException if there is no accelerator.
 */
class CompiledEngine
    @JvmOverloads
    constructor(
        private val accelerators: Set<Accelerator>,
        private val environment: Environment? = null,
        private val configure: (CompiledModel.Options) -> Unit = {},
    ) : Engine {
        private val runtime = "LiteRT CompiledModel (${accelerators.joinToString(" and ")})"

        init {
            require(accelerators.isNotEmpty()) {
                "no accelerator: name one, such as Accelerator.GPU"
            }
        }

        override fun open(source: EngineSource): EngineModel {
            val path = source.file.path
            val lengths = source.description.lengths
            if (lengths.static.isEmpty()) {
                throw ModelException(
                    "$path takes every length, and $runtime needs fixed ones: build with " +
                        "--static-lengths 64 128 256 384, or $REMEDY",
                    kind = ErrorKind.RUNTIME,
                )
            }
            val model = translated(runtime, path) { compile(source) }
            return CompiledFile(model, path, source.description, runtime)
        }

        private fun compile(source: EngineSource): CompiledModel {
            val options = CompiledModel.Options(*accelerators.toTypedArray())
            if (Accelerator.CPU in accelerators) {
                options.cpuOptions = CompiledModel.CpuOptions(source.threads, null, null)
            }
            configure(options)
            val assets = source.assets
            return if (assets == null) {
                CompiledModel.create(source.path, options, environment)
            } else {
                CompiledModel.create(assets, source.path, options, environment)
            }
        }
    }

/** An open file; every length has a signature of its own, and buffers that are kept. */
private class CompiledFile(
    private val model: CompiledModel,
    private val path: String,
    private val description: ModelDescription,
    override val runtime: String,
) : EngineModel {
    private val buffers = HashMap<String, Buffers>()

    override val remedy get() = REMEDY

    override fun run(ids: IntArray, mask: IntArray, segmentIds: IntArray): List<FloatArray> =
        translated(runtime, path) {
            val signature = "length_${ids.size}"
            val used = buffers.getOrPut(signature) { Buffers.of(model, description, signature) }
            Predictor.INPUTS.zip(listOf(ids, mask, segmentIds)) { name, values ->
                used.inputs.getValue(name).writeInt(values)
            }
            model.run(used.inputs, used.outputs, signature)
            description.outputs.map { used.outputs.getValue(it.name).readFloat() }
        }

    override fun close() {
        buffers.values.forEach { it.close() }
        model.close()
    }
}

/** The buffers of one signature by the names of its tensors. */
private class Buffers : AutoCloseable {
    val inputs = LinkedHashMap<String, TensorBuffer>()
    val outputs = LinkedHashMap<String, TensorBuffer>()

    override fun close() = (inputs.values + outputs.values).forEach { it.close() }

    companion object {
        /** All buffers of [signature]; where one cannot be made, the others are closed. */
        fun of(model: CompiledModel, description: ModelDescription, signature: String): Buffers {
            val buffers = Buffers()
            var isWhole = false
            try {
                for (name in Predictor.INPUTS) {
                    buffers.inputs[name] = model.createInputBuffer(name, signature)
                }
                for (name in description.outputs.map { it.name }) {
                    buffers.outputs[name] = model.createOutputBuffer(name, signature)
                }
                isWhole = true
                return buffers
            } finally {
                if (!isWhole) buffers.close()
            }
        }
    }
}

private const val REMEDY = "run the model on the CPU"

/** What [call] gives; LiteRT's errors as one sentence. */
private fun <T> translated(runtime: String, path: String, call: () -> T): T =
    try {
        call()
    } catch (error: LiteRtException) {
        throw refused(runtime, path, error)
    } catch (error: IllegalStateException) {
        throw refused(runtime, path, error)
    } catch (error: LinkageError) {
        throw ModelException(
            "the app has no library of LiteRT 2 for this processor: add " +
                "com.google.ai.edge.litert:litert of version 2, or $REMEDY",
            error,
            ErrorKind.RUNTIME,
        )
    }

private fun refused(runtime: String, path: String, error: Exception) =
    ModelException(
        "$runtime refuses $path (${error.message ?: error.javaClass.simpleName}): $REMEDY",
        error,
        ErrorKind.RUNTIME,
    )
