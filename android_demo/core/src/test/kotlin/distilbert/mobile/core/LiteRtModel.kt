// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

import com.sun.jna.Memory
import com.sun.jna.Native
import com.sun.jna.NativeLong
import com.sun.jna.Pointer
import com.sun.jna.ptr.NativeLongByReference
import com.sun.jna.ptr.PointerByReference
import java.io.File

/**
 * A .tflite file of one signature and any length in LiteRT on this machine's CPU.
 *
 * @param description of the file; it says how large each output is.
 * @param threads how many LiteRT computes with.
 */
internal class LiteRtModel(
    library: File,
    path: File,
    private val description: ModelDescription,
    threads: Int = 1,
) : Predictor,
    AutoCloseable {
    private val api = Native.load(library.path, LiteRt::class.java)
    private val environment = made { api.LiteRtCreateEnvironment(0, null, it) }
    private val model = made { api.LiteRtCreateModelFromFile(environment, path.path, it) }

    // LiteRT's headers have functions that write this; the library exports none of them.
    private val settings = text("num_threads = $threads\n")
    private val compiled = compile()
    private val signature = made { api.LiteRtGetModelSignature(model, FIRST, it) }
    private val inputs =
        names(api::LiteRtGetNumSignatureInputs, api::LiteRtGetSignatureInputName)
    private val outputs =
        names(api::LiteRtGetNumSignatureOutputs, api::LiteRtGetSignatureOutputName)
    private var length = 0
    private var inputBuffers = emptyList<Pointer>()
    private var outputBuffers = emptyList<Pointer>()

    override fun run(ids: IntArray, mask: IntArray, segmentIds: IntArray): List<FloatArray> {
        if (ids.size != length) resize(ids.size)
        val values = Predictor.INPUTS.zip(listOf(ids, mask, segmentIds)).toMap()
        inputs.zip(inputBuffers) { name, buffer ->
            locked(buffer, WRITE) { it.write(0, values.getValue(name), 0, length) }
        }
        check(
            api.LiteRtRunCompiledModel(
                compiled,
                FIRST,
                size(inputs.size),
                inputBuffers.toTypedArray(),
                size(outputs.size),
                outputBuffers.toTypedArray(),
            ),
        )
        val buffers = outputs.zip(outputBuffers).toMap()
        return description.outputs.map { output ->
            locked(buffers.getValue(output.name), READ) { it.getFloatArray(0, output.size(length)) }
        }
    }

    override fun close() {
        freeBuffers()
        api.LiteRtDestroyCompiledModel(compiled)
        api.LiteRtDestroyModel(model)
        api.LiteRtDestroyEnvironment(environment)
    }

    private fun compile(): Pointer {
        val options = made(api::LiteRtCreateOptions)
        check(api.LiteRtSetOptionsHardwareAccelerators(options, CPU))
        val added = made { api.LiteRtCreateOpaqueOptions("xnnpack", settings, FREE, it) }
        check(api.LiteRtAddOpaqueOptions(options, added))
        val found = made { api.LiteRtCreateCompiledModel(environment, model, options, it) }
        api.LiteRtDestroyOptions(options)
        return found
    }

    private fun resize(wanted: Int) {
        freeBuffers()
        length = 0
        for (input in inputs.indices) {
            val shape = intArrayOf(1, wanted)
            check(
                api.LiteRtCompiledModelResizeInputTensor(
                    compiled,
                    FIRST,
                    size(input),
                    shape,
                    size(shape.size),
                ),
            )
        }
        // Without this the outputs keep their old shape.
        val layouts = Memory(TensorType.LAYOUT_BYTES * outputs.size)
        check(
            api.LiteRtGetCompiledModelOutputTensorLayouts(
                compiled,
                FIRST,
                size(outputs.size),
                layouts,
                true,
            ),
        )
        inputBuffers =
            inputs.indices.map { index ->
                buffer(TensorType(TensorType.INT32, wanted)) {
                    api.LiteRtGetCompiledModelInputBufferRequirements(
                        compiled,
                        FIRST,
                        size(index),
                        it,
                    )
                }
            }
        outputBuffers =
            outputs.indices.map { index ->
                val output = description.outputs.first { it.name == outputs[index] }
                buffer(TensorType(TensorType.FLOAT32, output.size(wanted))) {
                    api.LiteRtGetCompiledModelOutputBufferRequirements(
                        compiled,
                        FIRST,
                        size(index),
                        it,
                    )
                }
            }
        length = wanted
    }

    private fun buffer(type: TensorType, requirements: (PointerByReference) -> Int): Pointer {
        val required = made(requirements)
        return made {
            api.LiteRtCreateManagedTensorBufferFromRequirements(environment, type, required, it)
        }
    }

    private fun <T> locked(buffer: Pointer, mode: Int, use: (Pointer) -> T): T {
        val memory = made { api.LiteRtLockTensorBuffer(buffer, it, mode) }
        return use(memory).also { check(api.LiteRtUnlockTensorBuffer(buffer)) }
    }

    private fun freeBuffers() {
        (inputBuffers + outputBuffers).forEach(api::LiteRtDestroyTensorBuffer)
        inputBuffers = emptyList()
        outputBuffers = emptyList()
    }

    private fun names(
        count: (Pointer, NativeLongByReference) -> Int,
        name: (Pointer, NativeLong, PointerByReference) -> Int,
    ): List<String> {
        val found = NativeLongByReference()
        check(count(signature, found))
        return (0 until found.value.toInt()).map { index ->
            made { name(signature, size(index), it) }.getString(0)
        }
    }

    private fun made(make: (PointerByReference) -> Int): Pointer =
        PointerByReference().also { check(make(it)) }.value

    private fun check(status: Int) {
        if (status != 0) throw ModelException("LiteRT refuses with status $status")
    }

    private fun text(text: String) = Memory(text.length + 1L).apply { setString(0, text) }

    private fun size(number: Int) = NativeLong(number.toLong())

    private companion object {
        /** Nothing: the data belongs to this class. */
        val FREE = LiteRt.Free { }
        val FIRST = NativeLong(0)
        const val CPU = 1
        const val READ = 0
        const val WRITE = 1
    }
}
