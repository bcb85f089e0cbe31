// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.Context
import android.util.AttributeSet
import android.widget.LinearLayout

/** Takes at most the width of a line that is easy to read, however wide the screen is. */
class Column(context: Context, attributes: AttributeSet) : LinearLayout(context, attributes) {
    override fun onMeasure(widthMeasureSpec: Int, heightMeasureSpec: Int) {
        val most = resources.getDimensionPixelSize(R.dimen.measure)
        val width = minOf(MeasureSpec.getSize(widthMeasureSpec), most)
        super.onMeasure(
            MeasureSpec.makeMeasureSpec(width, MeasureSpec.EXACTLY),
            heightMeasureSpec,
        )
    }
}
