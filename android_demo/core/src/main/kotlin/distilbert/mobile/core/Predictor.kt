// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

/**
 * A model that computes its outputs for one tokenized input; the platform's runtime stands behind
 * it. What the outputs mean is the task's matter.
 */
fun interface Predictor {
    /**
     * Runs the model once.
     *
     * @param ids word-piece ids; their number n is a length that the model takes.
     * @param mask n numbers: 1 for pieces, 0 for padding.
     * @param segmentIds n numbers: 0 for the first text, 1 for the second.
     * @return the outputs in the order of `model.json`, each of the size that its
     *   [TensorDescription] says for n.
     * @throws ModelException if the runtime fails.
     */
    fun run(ids: IntArray, mask: IntArray, segmentIds: IntArray): List<FloatArray>

    /**
     * How many threads may call [run] at the same time. With more than one, so many windows of a
     * long passage run at a time.
     */
    val atOnce: Int get() = 1

    companion object {
        /** The names of the three inputs in the model's signature. */
        val INPUTS = listOf("ids", "mask", "segment_ids")
    }
}

/**
 * Pads an input to a length that the model takes, runs it, and cuts the padding's values off the
 * outputs that have one value for each word piece.
 *
 * @param description of the model; it says which lengths and outputs there are.
 * @param ids word-piece ids without padding.
 * @param segmentIds as many, 0 for the first text and 1 for the second.
 * @param padTo the least length to pad to; null pads to the next length that the model takes.
 * @return the outputs in the order of `model.json`.
 * @throws ModelException if the model takes no length that is long enough, or the runtime fails or
 *   computes another number of values than `model.json` promises.
 */
fun Predictor.runPadded(
    description: ModelDescription,
    ids: IntArray,
    segmentIds: IntArray,
    padTo: Int? = null,
): List<FloatArray> {
    val length = ids.size
    val padded = description.lengths.fitting(maxOf(length, padTo ?: 0))
    val paddedIds = ids.copyOf(padded)
    paddedIds.fill(description.tokenizer.special.pad.id, length, padded)
    val mask = IntArray(padded) { if (it < length) 1 else 0 }
    val outputs = run(paddedIds, mask, segmentIds.copyOf(padded))
    if (outputs.size != description.outputs.size) {
        throw ModelException(
            "the runtime computes ${outputs.size} outputs, model.json promises " +
                "${description.outputs.size}: copy both from the same build",
        )
    }
    return outputs.zip(description.outputs) { values, output ->
        // Values that are missing would look like logits of 0.
        if (values.size != output.size(padded)) {
            throw ModelException(
                "the runtime computes ${values.size} values of ${output.name} instead of " +
                    "${output.size(padded)}: copy the file and model.json from the same build",
            )
        }
        values.copyOf(output.size(length))
    }
}
