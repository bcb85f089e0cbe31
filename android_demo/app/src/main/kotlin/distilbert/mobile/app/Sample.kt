// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.res.Resources

/** A text to try the model on, with questions to suggest. */
internal class Sample(val title: String, val passage: String, val questions: List<String>) {
    companion object {
        fun all(resources: Resources): List<Sample> {
            val arrays = resources.obtainTypedArray(R.array.samples)
            return List(arrays.length()) { index ->
                val items = resources.getStringArray(arrays.getResourceId(index, 0))
                Sample(items[0], items[1], items.drop(2))
            }.also { arrays.recycle() }
        }
    }
}
