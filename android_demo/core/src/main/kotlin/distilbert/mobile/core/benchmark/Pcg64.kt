// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

/**
 * NumPy's default random numbers, so that an interval made here is the one made there: PCG XSL RR
 * 128/64 (O'Neill 2014) with a state drawn from the seed as `numpy.random.SeedSequence` does.
 *
 * @param seed 0 or more.
 */
internal class Pcg64(seed: Int) {
    private val state = UInt128()
    private val increment = UInt128()
    private var kept: Long? = null

    init {
        require(seed >= 0) { "seed $seed: 0 or more is needed" }
        val (initial, stream) =
            seedWords(seed).asList().chunked(2) { (high, low) ->
                UInt128(high, low)
            }
        increment.add(stream)
        increment.shiftLeftOne()
        step()
        state.add(initial)
        step()
    }

    /** A whole number from 0 to [limit] - 1, as `Generator.integers(limit)` (Lemire 2019). */
    fun below(limit: Int): Int {
        if (limit == 1) return 0
        val threshold = (TWO_32 - limit) % limit
        while (true) {
            val product = next32() * limit
            if ((product and LOW_32) >= threshold) return (product ushr Int.SIZE_BITS).toInt()
        }
    }

    /** The lower half of 64 new bits, then their upper half. */
    private fun next32(): Long {
        kept?.let {
            kept = null
            return it
        }
        step()
        val bits = (state.high xor state.low).rotateRight((state.high ushr ROTATION).toInt())
        kept = bits ushr Int.SIZE_BITS
        return bits and LOW_32
    }

    private fun step() {
        state.multiply(MULTIPLIER)
        state.add(increment)
    }

    private companion object {
        const val ROTATION = 58
        val MULTIPLIER = UInt128(0x2360ed051fc65da4, 0x4385df649fccf645)
    }
}

/** An unsigned number of 128 bits; what goes beyond is lost. */
private class UInt128(var high: Long = 0, var low: Long = 0) {
    fun set(high: Long, low: Long) {
        this.high = high
        this.low = low
    }

    fun add(other: UInt128) {
        low += other.low
        high += other.high + if (low.toULong() < other.low.toULong()) 1 else 0
    }

    fun multiply(other: UInt128) {
        val upper = multiplyHigh(low, other.low) + low * other.high + high * other.low
        set(upper, low * other.low)
    }

    /** Makes an odd number of it: the increment of a generator has to be one. */
    fun shiftLeftOne() = set((high shl 1) or (low ushr Long.SIZE_BITS - 1), (low shl 1) or 1)

    /** The upper half of a product; the platform's own is too new for old phones. */
    private fun multiplyHigh(one: Long, other: Long): Long {
        val oneLow = one and LOW_32
        val oneHigh = one ushr Int.SIZE_BITS
        val otherLow = other and LOW_32
        val otherHigh = other ushr Int.SIZE_BITS
        val middle = oneHigh * otherLow + (oneLow * otherLow ushr Int.SIZE_BITS)
        val carried = oneLow * otherHigh + (middle and LOW_32)
        return oneHigh * otherHigh + (middle ushr Int.SIZE_BITS) + (carried ushr Int.SIZE_BITS)
    }
}

/** Four words of 64 bits that depend on every bit of [seed]. */
private fun seedWords(seed: Int): LongArray {
    val pool = IntArray(POOL)
    var constant = FIRST_MIX

    fun hashed(value: Int): Int {
        val mixed = value xor constant
        constant *= MIX
        return (mixed * constant).folded()
    }
    for (place in pool.indices) pool[place] = hashed(if (place == 0) seed else 0)
    for (from in pool.indices) {
        for (to in pool.indices) {
            if (from != to) {
                pool[to] = (MIX_LEFT * pool[to] - MIX_RIGHT * hashed(pool[from])).folded()
            }
        }
    }
    constant = FIRST_DRAW
    val halves =
        LongArray(2 * POOL) { place ->
            val mixed = pool[place % POOL] xor constant
            constant *= DRAW
            (mixed * constant).folded().toLong() and LOW_32
        }
    return LongArray(POOL) { halves[2 * it] or (halves[2 * it + 1] shl Int.SIZE_BITS) }
}

private fun Int.folded() = this xor (this ushr Short.SIZE_BITS)

private const val TWO_32 = 1L shl 32
private const val LOW_32 = TWO_32 - 1
private const val POOL = 4
private const val FIRST_MIX = 0x43b0d7e5
private const val MIX = 0x931e8875.toInt()
private const val FIRST_DRAW = 0x8b51f9dd.toInt()
private const val DRAW = 0x58f38ded
private const val MIX_LEFT = 0xca01f9dd.toInt()
private const val MIX_RIGHT = 0x4973f715
