// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

import com.sun.jna.Callback
import com.sun.jna.Library
import com.sun.jna.Memory
import com.sun.jna.NativeLong
import com.sun.jna.Pointer
import com.sun.jna.ptr.NativeLongByReference
import com.sun.jna.ptr.PointerByReference

/**
 * The part of LiteRT's C API that runs a model: `libLiteRt.so`, which LiteRT's Python wheel brings.
 *
 * Every function but the destroying ones returns 0 for success. Indices are `size_t`.
 */
@Suppress("FunctionName", "ktlint:standard:function-naming")
internal interface LiteRt : Library {
    fun LiteRtCreateEnvironment(count: Int, options: Pointer?, found: PointerByReference): Int

    fun LiteRtDestroyEnvironment(environment: Pointer)

    fun LiteRtCreateModelFromFile(
        environment: Pointer,
        path: String,
        found: PointerByReference,
    ): Int

    fun LiteRtDestroyModel(model: Pointer)

    fun LiteRtCreateOptions(found: PointerByReference): Int

    fun LiteRtSetOptionsHardwareAccelerators(options: Pointer, accelerators: Int): Int

    fun LiteRtCreateOpaqueOptions(
        identifier: String,
        data: Pointer,
        free: Free,
        found: PointerByReference,
    ): Int

    fun LiteRtAddOpaqueOptions(options: Pointer, added: Pointer): Int

    fun LiteRtDestroyOptions(options: Pointer)

    fun LiteRtCreateCompiledModel(
        environment: Pointer,
        model: Pointer,
        options: Pointer,
        found: PointerByReference,
    ): Int

    fun LiteRtDestroyCompiledModel(compiled: Pointer)

    fun LiteRtGetModelSignature(model: Pointer, index: NativeLong, found: PointerByReference): Int

    fun LiteRtGetNumSignatureInputs(signature: Pointer, found: NativeLongByReference): Int

    fun LiteRtGetNumSignatureOutputs(signature: Pointer, found: NativeLongByReference): Int

    fun LiteRtGetSignatureInputName(
        signature: Pointer,
        index: NativeLong,
        found: PointerByReference,
    ): Int

    fun LiteRtGetSignatureOutputName(
        signature: Pointer,
        index: NativeLong,
        found: PointerByReference,
    ): Int

    fun LiteRtCompiledModelResizeInputTensor(
        compiled: Pointer,
        signature: NativeLong,
        input: NativeLong,
        dimensions: IntArray,
        count: NativeLong,
    ): Int

    fun LiteRtGetCompiledModelOutputTensorLayouts(
        compiled: Pointer,
        signature: NativeLong,
        count: NativeLong,
        layouts: Pointer,
        allocates: Boolean,
    ): Int

    fun LiteRtGetCompiledModelInputBufferRequirements(
        compiled: Pointer,
        signature: NativeLong,
        input: NativeLong,
        found: PointerByReference,
    ): Int

    fun LiteRtGetCompiledModelOutputBufferRequirements(
        compiled: Pointer,
        signature: NativeLong,
        output: NativeLong,
        found: PointerByReference,
    ): Int

    fun LiteRtCreateManagedTensorBufferFromRequirements(
        environment: Pointer,
        type: Pointer,
        requirements: Pointer,
        found: PointerByReference,
    ): Int

    fun LiteRtDestroyTensorBuffer(buffer: Pointer)

    fun LiteRtLockTensorBuffer(buffer: Pointer, memory: PointerByReference, mode: Int): Int

    fun LiteRtUnlockTensorBuffer(buffer: Pointer): Int

    fun LiteRtRunCompiledModel(
        compiled: Pointer,
        signature: NativeLong,
        inputCount: NativeLong,
        inputs: Array<Pointer>,
        outputCount: NativeLong,
        outputs: Array<Pointer>,
    ): Int

    /** Frees the data of options. */
    fun interface Free : Callback {
        fun free(data: Pointer?)
    }
}

/** `LiteRtRankedTensorType` of shape [1, length]: element type, rank, 8 sizes, 8 strides. */
internal class TensorType(element: Int, length: Int) : Memory(BYTES) {
    init {
        clear()
        setInt(0, element)
        setInt(RANK_AT, 2)
        setInt(SIZES_AT, 1)
        setInt(SIZES_AT + Int.SIZE_BYTES, length)
    }

    companion object {
        const val FLOAT32 = 1
        const val INT32 = 2

        /** Bytes of the layout within: rank, sizes and strides. */
        const val LAYOUT_BYTES = 68L
        private const val BYTES = 72L
        private const val RANK_AT = 4L
        private const val SIZES_AT = 8L
    }
}
