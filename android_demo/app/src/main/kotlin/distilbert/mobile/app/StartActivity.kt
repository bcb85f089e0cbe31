// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.app.Activity
import android.content.Intent
import android.os.Bundle
import distilbert.mobile.core.classes.ClassDescription

/**
 * Opens the screen of the task that `model.json` names, with the text that another app sent. It
 * shows nothing itself.
 */
class StartActivity : Activity() {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        val screen =
            if ((application as DemoApplication).task() == ClassDescription.TASK) {
                ClassifierActivity::class.java
            } else {
                MainActivity::class.java // which also says what is wrong with the model
            }
        startActivity(Intent(intent).setClass(this, screen).setFlags(0))
        finish()
    }
}
