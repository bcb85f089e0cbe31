// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import distilbert.mobile.core.ModelException
import distilbert.mobile.testing.Builds
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import java.io.File
import java.util.Random

/** A changed byte anywhere is noticed before the first answer, and an unchanged file read once. */
@RunWith(RobolectricTestRunner::class)
class VerifyTest {
    @get:Rule
    val temporary = TemporaryFolder()

    @Before
    fun runtime() = assumeRuntime()

    @Test
    fun `changed bytes are noticed in every file`() {
        val random = Random(SEED)
        val folder = TinyModel.copy(temporary.newFolder())
        for (name in listOf(TinyModel.RIGHT, "model.json", "vocab.txt", "golden.json")) {
            val file = folder.resolve(name)
            val whole = file.readBytes()
            repeat(CHANGES) {
                val bytes = whole.copyOf()
                val place = random.nextInt(bytes.size)
                bytes[place] = (bytes[place] + 1 + random.nextInt(BYTES - 1)).toByte()
                // The layout of JSON is free.
                if (bytes[place].toInt() in BLANKS && whole[place].toInt() in BLANKS) return@repeat
                file.writeBytes(bytes)
                assertThrows("$name, byte $place", ModelException::class.java) { open(folder) }
            }
            file.writeBytes(whole)
        }
        open(folder)
    }

    @Test
    fun `a file on disk is read once until its size or its time changes`() {
        val folder = CountedFolder(TinyModel.copy(temporary.newFolder()))
        val opened = { QuestionAnswerer.open(folder, null, threads = 1).close() }
        // A file that just changed could change again at the same time of its clock.
        repeat(2) { opened() }
        assertEquals(2, folder.goldenRead)
        folder.age()
        repeat(3) { opened() }
        assertEquals(3, folder.goldenRead)
        val golden = folder.files.resolve("golden.json")
        golden.writeText(golden.readText().replaceFirst("\"score\":", "\"score\":1"))
        assertThrows(ModelException::class.java) { opened() }
        QuestionAnswerer.open(folder, null, threads = 1, verify = false).close()
        golden.delete()
        opened()
    }

    @Test
    fun `assets are remembered for this installation of the app`() {
        val app = RuntimeEnvironment.getApplication()
        Verified.OfInstallation(app).add("assets/model/a 00")
        val remembered = Verified.OfInstallation(app)
        assertTrue("assets/model/a 00" in remembered && "assets/model/a 01" !in remembered)
    }

    @Test
    fun `the first right classifier of a folder is opened`() {
        val passed = PassedTests(RuntimeEnvironment.getApplication())
        val folder = TinyModel.copy(temporary.newFolder(), Builds.tinyClasses)
        TextClassifier.firstRightFromFolder(folder, passed, threads = 1).use {
            assertEquals(TinyModel.RIGHT, it.file.path)
            assertTrue(it in passed)
        }
        folder.resolve("vocab.txt").appendText("more\n")
        assertThrows(ModelException::class.java) {
            TextClassifier.firstRightFromFolder(folder, passed, threads = 1)
        }
    }

    private fun open(folder: File) = QuestionAnswerer.fromFolder(folder, threads = 1).close()

    /** Counts how often the golden cases are read. */
    private class CountedFolder(val files: File, folder: FileFolder = FileFolder(files)) :
        ModelFolder by folder {
        private val folder = folder
        var goldenRead = 0

        override fun text(name: String): String {
            if (name == "golden.json") goldenRead++
            return folder.text(name)
        }

        fun age() {
            val before = System.currentTimeMillis() - HOUR
            files.listFiles()?.forEach { it.setLastModified(before) }
        }
    }

    private companion object {
        const val SEED = 21L
        const val CHANGES = 100
        const val BYTES = 256
        const val HOUR = 3_600_000
        val BLANKS = " \n\t\r".map { it.code }
    }
}
