// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.Context
import android.util.AttributeSet
import android.widget.ScrollView

/** Takes at most a share of the height, so that large fonts leave room for what is above it. */
class BoundedScrollView(context: Context, attributes: AttributeSet) :
    ScrollView(context, attributes) {
    override fun onMeasure(widthMeasureSpec: Int, heightMeasureSpec: Int) {
        val most = (MeasureSpec.getSize(heightMeasureSpec) * LARGEST_SHARE).toInt()
        super.onMeasure(
            widthMeasureSpec,
            MeasureSpec.makeMeasureSpec(most, MeasureSpec.AT_MOST),
        )
    }

    private companion object {
        const val LARGEST_SHARE = 0.6f
    }
}
