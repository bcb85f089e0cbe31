// SPDX-License-Identifier: Apache-2.0
package com.google.ai.edge.litert

import android.content.res.AssetManager

/** Where operators may run. */
enum class Accelerator(val value: Int) {
    NONE(0),
    CPU(1),
    GPU(2),
    NPU(3),
}

/** What LiteRT throws. */
class LiteRtException(message: String) : Exception(message)

/** Settings of the runtime, such as where the libraries of an NPU lie. */
class Environment internal constructor()

/** A model that was compiled for its accelerators. */
class CompiledModel internal constructor() : AutoCloseable {
    /** Settings of the CPU. */
    data class CpuOptions(
        val numThreads: Int? = null,
        val xnnPackFlags: Int? = null,
        val xnnPackWeightCachePath: String? = null,
    )

    /** How a model is compiled. */
    class Options(internal val accelerators: Set<Accelerator>) {
        constructor(vararg accelerators: Accelerator) : this(setOf(*accelerators))

        var cpuOptions: CpuOptions? = null
    }

    init {
        StubRuntime.live++
    }

    /** A buffer for an input of a signature. */
    fun createInputBuffer(inputName: String, signature: String): TensorBuffer =
        StubRuntime.buffer(inputName, signature)

    /** A buffer for an output of a signature. */
    fun createOutputBuffer(outputName: String, signature: String): TensorBuffer =
        StubRuntime.buffer(outputName, signature)

    /** Runs a signature; buffers go by the names of its tensors. */
    fun run(
        inputs: Map<String, TensorBuffer>,
        outputs: Map<String, TensorBuffer>,
        signature: String,
    ) {
        val values = StubRuntime.compute(signature, inputs.mapValues { it.value.ints })
        for ((name, buffer) in outputs) buffer.floats = values.getValue(name)
    }

    override fun close() {
        StubRuntime.live--
    }

    companion object {
        /** Compiles a file among an app's assets. */
        @JvmStatic
        @Suppress("UNUSED_PARAMETER")
        fun create(
            assetManager: AssetManager,
            assetName: String,
            options: Options,
            optionalEnv: Environment?,
        ): CompiledModel = StubRuntime.create("asset $assetName", options)

        /** Compiles a file on disk. */
        @JvmStatic
        @Suppress("UNUSED_PARAMETER")
        fun create(filePath: String, options: Options, optionalEnv: Environment?): CompiledModel =
            StubRuntime.create(filePath, options)
    }
}

/** Memory of an input or an output. */
class TensorBuffer internal constructor(private val name: String) : AutoCloseable {
    internal var ints = IntArray(0)
    internal var floats = FloatArray(0)

    init {
        StubRuntime.live++
    }

    /** Fills an input. */
    fun writeInt(data: IntArray) {
        ints = data.copyOf()
    }

    /** The values of an output. */
    fun readFloat(): FloatArray = floats

    override fun close() {
        StubRuntime.live--
    }

    override fun toString() = name
}
