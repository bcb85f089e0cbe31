// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.app.Activity

/** The demo's screen. */
class MainActivity : Activity()
