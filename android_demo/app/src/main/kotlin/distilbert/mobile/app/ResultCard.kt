// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.app.Activity
import android.content.ClipData
import android.content.ClipboardManager
import android.content.Intent
import android.graphics.Rect
import android.os.Build
import android.view.View
import android.widget.CheckBox
import android.widget.TextView
import android.widget.Toast

/** The card of any task's result: its details behind a disclosure, and what a user can take. */
internal class ResultCard(private val activity: Activity) {
    private val card: View = activity.findViewById(R.id.card)
    private val disclosure: CheckBox = activity.findViewById(R.id.disclosure)
    private val details: TextView = activity.findViewById(R.id.details)
    private val actions = listOf(R.id.copy, R.id.share).map { activity.findViewById<View>(it) }
    private var result: String? = null

    /** Where it begins, in pixels from the top of what is scrolled. */
    val top get() = card.top

    init {
        // Called as well when a turned screen gets its state back.
        disclosure.setOnCheckedChangeListener { _, _ ->
            disclose()
            details.beforeNextDraw {
                details.requestRectangleOnScreen(Rect(0, 0, details.width, details.height), true)
            }
        }
        val (copy, share) = actions
        copy.setOnClickListener { result?.let(::copy) }
        share.setOnClickListener { result?.let(::share) }
        disclose()
    }

    /** Shows the card with [lines] as details; [result] can be copied and shared, unless null. */
    fun show(result: String?, lines: List<String>) {
        this.result = result
        card.visibleIf(true)
        details.text = lines.joinToString("\n")
        actions.forEach { it.visibleIf(result != null) }
    }

    fun hide() = card.visibleIf(false)

    private fun disclose() {
        details.visibleIf(disclosure.isChecked)
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) {
            val state = if (disclosure.isChecked) R.string.expanded else R.string.collapsed
            disclosure.stateDescription = activity.getString(state)
        }
    }

    private fun copy(text: String) {
        val clip = ClipData.newPlainText(activity.title, text)
        activity.getSystemService(ClipboardManager::class.java).setPrimaryClip(clip)
        // Later versions say so themselves.
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.TIRAMISU) {
            Toast.makeText(activity, R.string.copied, Toast.LENGTH_SHORT).show()
        }
    }

    private fun share(text: String) {
        val send =
            Intent(
                Intent.ACTION_SEND,
            ).setType("text/plain").putExtra(Intent.EXTRA_TEXT, text)
        activity.startActivity(
            Intent.createChooser(send, activity.getString(R.string.share_answer)),
        )
    }
}
