// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import org.tensorflow.lite.TensorFlowLite

/** A runtime's [name], as `model.json` writes it, and its [version]. */
internal class Runtime(val name: String, val version: String) {
    override fun toString() = "$name $version"

    companion object {
        /** The one in this app. */
        val current by lazy { Runtime("TensorFlow Lite", TensorFlowLite.runtimeVersion()) }
    }
}
