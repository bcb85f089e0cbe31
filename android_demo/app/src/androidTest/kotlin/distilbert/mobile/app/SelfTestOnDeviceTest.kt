// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import androidx.test.platform.app.InstrumentationRegistry
import distilbert.mobile.answerer.QuestionAnswerer
import distilbert.mobile.answerer.TextClassifier
import distilbert.mobile.core.ModelDescription
import distilbert.mobile.core.classes.ClassDescription
import org.junit.Assert.assertNull
import org.junit.Test

/** The golden cases of the app's model on the device that is connected. */
class SelfTestOnDeviceTest {
    @Test
    fun theDeviceComputesTheModelRight() {
        val context = InstrumentationRegistry.getInstrumentation().targetContext
        val document =
            context.assets
                .open(
                    "model/model.json",
                ).bufferedReader()
                .use { it.readText() }
        val isClassifier = ModelDescription.parse(document).task == ClassDescription.TASK
        val model =
            if (isClassifier) {
                TextClassifier.fromAssets(context)
            } else {
                QuestionAnswerer.fromAssets(context)
            }
        model.use { assertNull(it.selfTest().problem) }
    }
}
