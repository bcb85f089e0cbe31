// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.app.Activity
import android.graphics.Canvas
import android.graphics.Insets
import android.graphics.Paint
import android.os.Looper
import android.view.View
import android.view.ViewGroup
import android.view.WindowInsets
import android.widget.HorizontalScrollView
import android.widget.Spinner
import android.widget.TextView
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.robolectric.Shadows.shadowOf

// What is checked of each picture, and the phone's bars on it.

/** The height of a phone's status bar, and of its navigation bar for gestures. */
private const val BAR = 24

/** This screen below a phone's status bar and above its navigation bar. */
internal fun <T : Activity> T.withBars(): T =
    apply {
        val height = (BAR * resources.displayMetrics.density).toInt()
        val insets =
            WindowInsets
                .Builder()
                .setInsets(WindowInsets.Type.statusBars(), Insets.of(0, height, 0, 0))
                .setInsets(WindowInsets.Type.navigationBars(), Insets.of(0, 0, 0, height))
                .build()
        window.decorView.dispatchApplyWindowInsets(insets)
        shadowOf(Looper.getMainLooper()).idle()
    }

/** Draws what a phone shows in its bars: a clock, a battery, and the handle for gestures. */
internal fun Activity.drawBars(canvas: Canvas) {
    val dp = resources.displayMetrics.density
    val paint = Paint(Paint.ANTI_ALIAS_FLAG)
    paint.color = getColor(R.color.text)
    paint.textSize = 14 * dp
    canvas.drawText("9:41", 24 * dp, 17 * dp, paint)
    val right = canvas.width - 24 * dp
    canvas.drawRoundRect(right - 20 * dp, 7 * dp, right, 17 * dp, 2 * dp, 2 * dp, paint)
    val middle = canvas.width / 2f
    val bottom = canvas.height - 10 * dp
    canvas.drawRoundRect(
        middle - 54 * dp,
        bottom - 4 * dp,
        middle + 54 * dp,
        bottom,
        2 * dp,
        2 * dp,
        paint,
    )
}

internal fun View.all(): Sequence<View> =
    sequence {
        yield(this@all)
        if (this@all is ViewGroup) {
            for (index in 0 until childCount) yieldAll(getChildAt(index).all())
        }
    }

/** A text has room for all its lines, whole, and ends without dots. */
internal fun assertWhole(view: View) {
    val layout = (view as? TextView)?.layout?.takeIf { view.isShown } ?: return
    val what = "${view.text.take(40)}: "
    val room = view.height - view.totalPaddingTop - view.totalPaddingBottom
    val isScrolled = view.id == R.id.question
    assertTrue("$what${layout.height} in $room", isScrolled || layout.height <= room + 1)
    val width = view.width - view.totalPaddingLeft - view.totalPaddingRight
    for (line in 0 until layout.lineCount) {
        assertEquals(what, 0, layout.getEllipsisCount(line))
        val needed = layout.getLineMax(line) - 1
        assertTrue("$what$needed in $width", isScrolled || needed <= width)
    }
    var parent = view.parent
    while (parent is View && parent !is HorizontalScrollView) {
        assertTrue("$what wider than the screen", view.width <= (parent as View).width)
        parent = parent.parent
    }
}

internal fun assertCanBeTapped(view: View) {
    val least = 48 * view.resources.displayMetrics.density - 1
    val what = "${view.javaClass.simpleName} ${(view as? TextView)?.text?.take(30)}"
    assertTrue("$what: ${view.width} x ${view.height}", view.height >= least)
    assertTrue("$what: ${view.width} x ${view.height}", view.width >= least)
    val spoken =
        (view as? TextView)?.let { it.text.ifEmpty { it.hint } } ?: view.contentDescription
    assertTrue("$what has no name", view is Spinner || !spoken.isNullOrEmpty())
}
