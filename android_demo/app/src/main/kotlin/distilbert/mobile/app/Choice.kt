// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.graphics.Rect
import android.text.Editable
import android.text.InputFilter
import android.text.TextWatcher
import android.view.View
import android.view.ViewGroup.LayoutParams.WRAP_CONTENT
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout

/** A chip: its [title], whether it is the one that holds, and what a tap does. */
internal class Choice(val title: String, val isSelected: Boolean, val choose: () -> Unit)

/** Shows [choices] in a row; chips that are there already stay, and with them the focus. */
internal fun LinearLayout.show(choices: List<Choice>) {
    while (childCount > choices.size) removeViewAt(childCount - 1)
    while (childCount < choices.size) addView(chip(), chipPlace())
    choices.forEachIndexed { index, choice ->
        with(getChildAt(index) as Button) {
            if (text.toString() != choice.title) text = choice.title
            if (choice.isSelected && !isSelected) showWhole()
            isSelected = choice.isSelected
            val check = if (choice.isSelected) R.drawable.check else 0
            setCompoundDrawablesRelativeWithIntrinsicBounds(check, 0, 0, 0)
            setOnClickListener { choice.choose() }
        }
    }
}

/** Scrolls its row, once it has its place, as far as it takes to see all of this. */
private fun View.showWhole() = post { requestRectangleOnScreen(Rect(0, 0, width, height)) }

private fun LinearLayout.chip() = Button(context, null, 0, R.style.Chip)

private fun LinearLayout.chipPlace() =
    LinearLayout.LayoutParams(WRAP_CONTENT, WRAP_CONTENT).apply {
        if (childCount > 0) marginStart = resources.getDimensionPixelSize(R.dimen.between_chips)
    }

/** Lets no more than [most] characters in. */
internal fun EditText.limitTo(most: Int) {
    filters += InputFilter.LengthFilter(most)
}

/** A question of several lines, though the keyboard's key asks instead of starting a new one. */
internal fun EditText.wrapLines() {
    setHorizontallyScrolling(false)
    maxLines = MOST_LINES
}

/** Calls [changed] after each change of the text. */
internal fun EditText.onChange(changed: () -> Unit) =
    addTextChangedListener(
        object : TextWatcher {
            override fun beforeTextChanged(s: CharSequence?, start: Int, count: Int, after: Int) =
                Unit

            override fun onTextChanged(s: CharSequence?, start: Int, before: Int, count: Int) = Unit

            override fun afterTextChanged(s: Editable?) = changed()
        },
    )

private const val MOST_LINES = 4
