// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.testing

import java.io.File

/** Folders of exported files for tests; the system properties say where. */
object Builds {
    /** What `tests/contract/make_golden.py` wrote. */
    val golden = File(System.getProperty("golden.folder") ?: error("golden.folder is not set"))

    /** A build of a few kilobytes, with any length and with two. */
    val tiny = golden.resolve("tiny")
    val tinyStatic = golden.resolve("tiny-static")

    /** A classifier of texts with any length, and a regression on pairs with two lengths. */
    val tinyClasses = golden.resolve("tiny-classes")
    val tinyNumber = golden.resolve("tiny-number")

    /** A real one; it may be missing. */
    val real = File(System.getProperty("model.folder") ?: "none").canonicalFile

    /** Why [real] cannot be tested; null if it can. */
    val missingReal: String? =
        if (real.resolve("model.json").isFile) null else "no build in $real: make model makes it"
}
