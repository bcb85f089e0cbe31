// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

/**
 * The word pieces of a text.
 *
 * @property ids of the pieces.
 * @property starts the first UTF-16 unit of the text that each piece stands for.
 * @property ends the unit past the last.
 */
class Pieces internal constructor(val ids: IntArray, val starts: IntArray, val ends: IntArray) {
    /** Number of pieces. */
    val size get() = ids.size
}
