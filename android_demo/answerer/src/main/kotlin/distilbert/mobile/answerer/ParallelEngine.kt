// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import java.util.concurrent.ConcurrentLinkedQueue

/** [Engine.parallel]: a file that is opened [count] times. */
internal class ParallelEngine(private val count: Int, private val engine: Engine) : Engine {
    override fun open(source: EngineSource): EngineModel {
        val models = ArrayList<EngineModel>(count)
        try {
            repeat(count) { models.add(engine.open(share(source))) }
            return ParallelModel(models)
        } finally {
            if (models.size < count) models.forEach { it.close() }
        }
    }

    /** The same file, with a place of its own in the bytes and a share of the threads. */
    private fun share(source: EngineSource) =
        with(source) {
            val bytes = bytes.duplicate().order(bytes.order())
            EngineSource(bytes, assets, path, file, description, maxOf(1, threads / count))
        }
}

/** The same file opened several times; each runs one input at a time. */
private class ParallelModel(private val models: List<EngineModel>) : EngineModel {
    // In turn, so that inputs that come one by one, as in a self-test, reach all of them.
    private val free = ConcurrentLinkedQueue(models)

    override val runtime get() = models.first().runtime

    override val remedy get() = models.first().remedy

    override val atOnce get() = models.size

    override fun run(ids: IntArray, mask: IntArray, segmentIds: IntArray): List<FloatArray> {
        val model = checkNotNull(free.poll()) { "more than $atOnce threads run the model at once" }
        try {
            return model.run(ids, mask, segmentIds)
        } finally {
            free.add(model)
        }
    }

    override fun close() = models.forEach { it.close() }
}
