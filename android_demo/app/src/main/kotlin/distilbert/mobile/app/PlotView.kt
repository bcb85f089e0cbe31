// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.Context
import android.graphics.Canvas
import android.graphics.Paint
import android.util.AttributeSet
import android.view.View
import distilbert.mobile.core.benchmark.InputLengths
import java.util.Locale
import kotlin.math.ceil
import kotlin.math.log10
import kotlin.math.pow

/** Milliseconds against tokens, a point for each query; both axes begin at 0. */
class PlotView(context: Context, attributes: AttributeSet) : View(context, attributes) {
    private val textPaint =
        Paint(Paint.ANTI_ALIAS_FLAG).apply {
            color = context.getColor(R.color.text_secondary)
            textSize = resources.getDimension(R.dimen.plot_text)
        }
    private val linePaint =
        Paint().apply {
            color = context.getColor(R.color.outline)
            strokeWidth = resources.getDimension(R.dimen.plot_line)
        }
    private val pointPaint = Paint(Paint.ANTI_ALIAS_FLAG)
    private val radius = resources.getDimension(R.dimen.plot_point)
    private var series: Map<InputLengths, List<Pair<Int, Double>>> = emptyMap()

    /** Shows points (tokens, milliseconds) of each way. */
    fun show(points: Map<InputLengths, List<Pair<Int, Double>>>) {
        series = points
        contentDescription = resources.getString(R.string.plot_spoken, spoken())
        invalidate()
    }

    override fun onDraw(canvas: Canvas) {
        super.onDraw(canvas)
        val points = series.values.flatten()
        if (points.isEmpty()) return
        val x = Axis(points.maxOf { it.first.toDouble() })
        val y = Axis(points.maxOf { it.second })
        val height = textPaint.fontSpacing
        val unit = resources.getString(R.string.plot_y)
        val widest = (y.ticks.map { y.label(it) } + unit).maxOf(textPaint::measureText)
        val left = paddingLeft + widest + radius * 2
        // A row for the legend above; below numbers, then their unit.
        val frame =
            Frame(
                left = left,
                top = paddingTop + height * 2,
                right = width - paddingRight - textPaint.measureText(x.label(x.end)) / 2,
                bottom = this.height - paddingBottom - height * 2,
            )
        drawAxes(canvas, frame, x, y)
        drawLegend(canvas, left)
        for ((lengths, queries) in series) {
            pointPaint.color = color(lengths)
            for ((tokens, ms) in queries) {
                canvas.drawCircle(
                    frame.x(tokens / x.end),
                    frame.y(ms / y.end),
                    radius,
                    pointPaint,
                )
            }
        }
    }

    private fun drawAxes(canvas: Canvas, frame: Frame, x: Axis, y: Axis) {
        val above = -textPaint.ascent()
        for (tick in y.ticks) {
            val at = frame.y(tick / y.end)
            canvas.drawLine(frame.left, at, frame.right, at, linePaint.faded(tick > 0))
            textPaint.textAlign = Paint.Align.RIGHT
            canvas.drawText(y.label(tick), frame.left - radius * 2, at + above / 2, textPaint)
        }
        for (tick in x.ticks) {
            val at = frame.x(tick / x.end)
            textPaint.textAlign = Paint.Align.CENTER
            canvas.drawText(x.label(tick), at, frame.bottom + above + radius, textPaint)
        }
        textPaint.textAlign = Paint.Align.CENTER
        val below = frame.bottom + textPaint.fontSpacing + above + radius
        val unit = resources.getString(R.string.plot_x)
        canvas.drawText(unit, (frame.left + frame.right) / 2, below, textPaint)
        textPaint.textAlign = Paint.Align.RIGHT
        canvas.drawText(
            resources.getString(R.string.plot_y),
            frame.left - radius * 2,
            frame.top - textPaint.fontSpacing / 2,
            textPaint,
        )
    }

    private fun drawLegend(canvas: Canvas, left: Float) {
        textPaint.textAlign = Paint.Align.LEFT
        val baseline = paddingTop - textPaint.ascent()
        var at = left
        for (lengths in series.keys) {
            pointPaint.color = color(lengths)
            canvas.drawCircle(
                at + radius,
                baseline + textPaint.ascent() / LEGEND,
                radius * 2,
                pointPaint,
            )
            val title = resources.getString(lengths.title)
            canvas.drawText(title, at + radius * TITLE, baseline, textPaint)
            at += radius * NEXT_TITLE + textPaint.measureText(title)
        }
    }

    private fun Paint.faded(isFaded: Boolean) =
        apply { alpha = if (isFaded) GRID_ALPHA else OPAQUE }

    private fun color(lengths: InputLengths) =
        context.getColor(
            when (lengths) {
                InputLengths.NATURAL -> R.color.plot_natural
                InputLengths.PADDED -> R.color.plot_padded
            },
        )

    private fun spoken() =
        series.entries.joinToString(" ") { (lengths, points) ->
            val first = points.minBy { it.first }
            val last = points.maxBy { it.first }
            resources.getString(
                R.string.plot_series_spoken,
                resources.getString(lengths.title),
                first.second,
                first.first,
                last.second,
                last.first,
            )
        }

    /** Where the points lie; shares of an axis become places. */
    private class Frame(val left: Float, val top: Float, val right: Float, val bottom: Float) {
        fun x(share: Double) = left + (right - left) * share.toFloat()

        fun y(share: Double) = bottom - (bottom - top) * share.toFloat()
    }

    /** Round numbers from 0 to one that is not below [most]. */
    internal class Axis(most: Double) {
        private val step = roundStep(most)
        private val count = ceil(most / step - SLACK).toInt().coerceAtLeast(1)
        val end = step * count
        val ticks = (0..count).map { it * step }

        fun label(value: Double): String =
            if (step >=
                1
            ) {
                "%.0f".format(Locale.ROOT, value)
            } else {
                "%.${ceil(-log10(step)).toInt()}f".format(Locale.ROOT, value)
            }

        private companion object {
            const val MOST_TICKS = 5
            val ROUND_STEPS = listOf(1, 2, 5, 10)
            const val SLACK = 1e-9

            /** 1, 2 or 5 times a power of ten, so that there are at most [MOST_TICKS] steps. */
            fun roundStep(most: Double): Double {
                val least = (if (most > 0) most else 1.0) / MOST_TICKS
                val power = 10.0.pow(kotlin.math.floor(log10(least)))
                return ROUND_STEPS.map { it * power }.first { it >= least - SLACK * least }
            }
        }
    }

    private companion object {
        const val LEGEND = 3
        const val TITLE = 4
        const val NEXT_TITLE = 10
        const val GRID_ALPHA = 70
        const val OPAQUE = 255
    }
}
