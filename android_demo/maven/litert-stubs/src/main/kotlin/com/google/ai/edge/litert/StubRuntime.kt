// SPDX-License-Identifier: Apache-2.0
package com.google.ai.edge.litert

/** Computes in a test what LiteRT computes on a phone. */
object StubRuntime {
    /** From a signature and its inputs by name to its outputs by name. */
    var compute: (String, Map<String, IntArray>) -> Map<String, FloatArray> = { _, _ -> emptyMap() }

    /** What compiling a model throws; null if it can be compiled. */
    var failure: Throwable? = null

    /** The input or output of which no buffer can be made; null if all can. */
    var missingBuffer: String? = null

    /** What was compiled: the path, the accelerators and the threads of the CPU. */
    val compiled = ArrayList<String>()

    /** How many models and buffers are open. */
    var live = 0
        internal set

    internal fun buffer(name: String, signature: String): TensorBuffer {
        if (name == missingBuffer) throw LiteRtException("no buffer of $name")
        return TensorBuffer("$signature $name")
    }

    internal fun create(path: String, options: CompiledModel.Options): CompiledModel {
        failure?.let { throw it }
        compiled += "$path ${options.accelerators} ${options.cpuOptions?.numThreads}"
        return CompiledModel()
    }
}
