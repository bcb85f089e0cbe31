// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.testing.HostRuntime
import org.junit.Assert.assertNull
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner

@RunWith(RobolectricTestRunner::class)
class QuestionAnswererTest {
    @Test
    fun `has a runtime`() {
        assertNull(HostRuntime.missing)
        HostRuntime.load()
        println(Runtime.current)
    }
}
