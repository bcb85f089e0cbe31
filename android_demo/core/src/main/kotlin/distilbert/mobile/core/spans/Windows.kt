// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.spans

import distilbert.mobile.core.ModelException
import distilbert.mobile.core.Pieces
import distilbert.mobile.core.SpecialPieces

/**
 * One input of the model: `[CLS] question [SEP] piece of the passage [SEP]`.
 *
 * @property ids word-piece ids.
 * @property segmentIds 0 up to and including the first [SEP], 1 after it.
 * @property first the place in [ids] of the first passage piece.
 */
class Window internal constructor(
    val ids: IntArray,
    val segmentIds: IntArray,
    val first: Int,
    private val passage: Pieces,
    private val firstPiece: Int,
) {
    /** The place in [ids] just after the last passage piece. */
    val stop get() = ids.size - 1

    /** First UTF-16 unit in the passage of the piece at [place] of [ids]. */
    fun start(place: Int): Int = passage.starts[firstPiece + place - first]

    /** The unit past its last. */
    fun end(place: Int): Int = passage.ends[firstPiece + place - first]
}

/**
 * The windows of a passage in order, each made when it is asked for: a long passage needs no
 * memory for all of them. An empty passage has one window without passage pieces.
 *
 * @param question cut to the limit.
 * @throws ModelException if the limits leave pieces in no window.
 */
class Windows(
    question: Pieces,
    private val passage: Pieces,
    special: SpecialPieces,
    private val limits: Limits,
) : AbstractList<Window>() {
    private val separator = special.sep.id
    private val query = minOf(question.size, limits.maxQuery)
    private val head = intArrayOf(special.cls.id, *question.ids.copyOf(query), separator)

    /** The ids of the question as the windows have it, cut to the limit. */
    internal val question: IntArray get() = head.copyOfRange(1, head.size - 1)
    private val room = limits.maxLength - head.size - 1

    override val size = 1 + maxOf(0, passage.size - room + limits.stride - 1) / limits.stride

    override fun get(index: Int): Window {
        if (index !in indices) throw IndexOutOfBoundsException("window $index of $size")
        val from = index * limits.stride
        val to = minOf(from + room, passage.size)
        val ids = IntArray(head.size + to - from + 1)
        head.copyInto(ids)
        passage.ids.copyInto(ids, head.size, from, to)
        ids[ids.size - 1] = separator
        val segmentIds = IntArray(ids.size) { if (it < head.size) 0 else 1 }
        return Window(ids, segmentIds, head.size, passage, from)
    }
}
