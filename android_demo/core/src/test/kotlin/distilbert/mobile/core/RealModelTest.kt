// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core

import org.junit.Test
import java.io.File

/** Each file of a build: Kotlin's answers must be those of `golden.json`. */
class RealModelTest {
    @Test
    fun `answers and logits are those of the build`() {
        val description = RealModel.assumeDescription()
        val cases = GoldenCase.parse(File(RealModel.folder, description.golden).readText())
        for (file in description.files.values) RealModel.compare(description, file.path, cases)
    }
}
