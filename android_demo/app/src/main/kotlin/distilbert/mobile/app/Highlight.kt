// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.graphics.Canvas
import android.graphics.Paint
import android.graphics.Typeface
import android.text.Layout
import android.text.Spannable
import android.text.Spanned
import android.text.style.ForegroundColorSpan
import android.text.style.LineBackgroundSpan
import android.text.style.StyleSpan
import android.widget.TextView

/**
 * A marker behind the characters of its range in [view], as high as they are: a background span
 * would fill the space between two lines as well, and look like a mark below the text.
 *
 * @param isSure filled as by a marker; otherwise a frame, which claims less.
 */
internal class Highlight(private val view: TextView, private val isSure: Boolean) :
    LineBackgroundSpan {
    private val color = view.context.getColor(if (isSure) R.color.highlight else R.color.outline)
    private val line = view.resources.getDimension(R.dimen.highlight_line)
    private val radius = view.resources.getDimension(R.dimen.highlight_radius)
    private val side = view.resources.getDimension(R.dimen.highlight_side)

    override fun drawBackground(
        canvas: Canvas,
        paint: Paint,
        left: Int,
        right: Int,
        top: Int,
        baseline: Int,
        bottom: Int,
        text: CharSequence,
        start: Int,
        end: Int,
        lineNumber: Int,
    ) {
        val layout = view.layout ?: return
        val spanned = text as? Spanned ?: return
        val from = maxOf(start, spanned.getSpanStart(this))
        val to = minOf(end, spanned.getSpanEnd(this))
        if (from >= to || lineNumber >= layout.lineCount) return
        val one = layout.getPrimaryHorizontal(from)
        val other = if (to < end) layout.getPrimaryHorizontal(to) else layout.endOf(lineNumber)
        val before = Paint(paint)
        paint.color = color
        paint.style = if (isSure) Paint.Style.FILL else Paint.Style.STROKE
        paint.strokeWidth = line
        canvas.drawRoundRect(
            // A frame that begins left of the text would lose its line there.
            (minOf(one, other) - side).coerceAtLeast(if (isSure) -side else line / 2),
            baseline + paint.ascent(),
            maxOf(one, other) + side,
            baseline + paint.descent(),
            radius,
            radius,
            paint,
        )
        paint.set(before)
    }

    private fun Layout.endOf(line: Int) =
        if (getParagraphDirection(line) == Layout.DIR_LEFT_TO_RIGHT) {
            getLineRight(line)
        } else {
            getLineLeft(line)
        }

    companion object {
        private val KINDS =
            listOf(
                Highlight::class.java,
                ForegroundColorSpan::class.java,
                StyleSpan::class.java,
            )

        /** Marks the characters [start, end) of [view]'s text, in more than color. */
        fun mark(view: TextView, start: Int, end: Int, isSure: Boolean) {
            val color = if (isSure) R.color.on_highlight else R.color.text
            val marks =
                listOfNotNull(
                    Highlight(view, isSure),
                    ForegroundColorSpan(view.context.getColor(color)),
                    StyleSpan(Typeface.BOLD).takeIf { isSure },
                )
            val text = view.text as Spannable
            for (mark in marks) {
                text.setSpan(mark, start, end, Spanned.SPAN_EXCLUSIVE_EXCLUSIVE)
            }
        }

        /** Takes all marks of [text] away. */
        fun unmark(text: Spannable) {
            for (kind in KINDS) text.getSpans(0, text.length, kind).forEach(text::removeSpan)
        }
    }
}
