// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import android.content.Context
import distilbert.mobile.core.ErrorKind
import distilbert.mobile.core.ModelException
import distilbert.mobile.testing.Builds
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Before
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import java.io.File
import java.io.IOException
import java.util.concurrent.CancellationException

/** What cannot be opened is refused in one sentence that says what to do. */
@RunWith(RobolectricTestRunner::class)
class OpeningTest {
    @get:Rule
    val temporary = TemporaryFolder()
    private val context: Context get() = RuntimeEnvironment.getApplication()

    @Before
    fun runtime() = assumeRuntime()

    @Test
    fun `assets are opened in place`() {
        assumeTrue("no assets", context.assets.list("model")!!.isNotEmpty())
        QuestionAnswerer.fromAssets(context, threads = 1).use { answerer ->
            assertEquals(TinyModel.RIGHT, answerer.file.path)
            assertTrue(answerer.selfTest().isPassed)
        }
    }

    @Test
    fun `a compressed asset cannot be mapped`() {
        assumeTrue("no assets", context.assets.list("compressed")!!.isNotEmpty())
        assertEquals(
            "assets/compressed/student-int8-per-tensor.model is compressed and cannot be mapped: " +
                "add androidResources.noCompress += \"tflite\" to the app's build file",
            message { QuestionAnswerer.fromAssets(context, "compressed", verify = false) },
        )
    }

    @Test
    fun `missing files are named`() {
        assertEquals(
            "assets/models/model.json is missing: copy the whole folder that the build wrote",
            message { QuestionAnswerer.fromAssets(context, "models") },
        )
        val folder = File(temporary.root, "nothing")
        assertEquals(
            "$folder/model.json is missing: copy the whole folder that the build wrote",
            message { QuestionAnswerer.fromFolder(folder) },
        )
        for (name in listOf("vocab.txt", TinyModel.RIGHT)) {
            val message = broken { it.resolve(name).delete() }
            assertTrue(message, "$name is missing" in message)
        }
        assertEquals(
            "model.json names no other.tflite: it has ${TinyModel.RIGHT}, ${TinyModel.REFUSED}, " +
                TinyModel.MISREAD,
            message { TinyModel.open("other.tflite") },
        )
    }

    @Test
    fun `a model that was cut off is refused before the runtime sees it`() {
        val message =
            broken { folder ->
                val file = folder.resolve(TinyModel.RIGHT)
                file.writeBytes(file.readBytes().copyOf(1000))
            }
        assertTrue(message, "is not the file that model.json names (1000 bytes instead" in message)
    }

    @Test
    fun `a damaged model of the right size is refused, by the runtime where nothing is verified`() {
        val damage = { folder: File ->
            val file = folder.resolve(TinyModel.RIGHT)
            file.writeBytes(ByteArray(file.length().toInt()) { 7 })
        }
        val changed = broken(change = damage)
        assertTrue(changed, changed.startsWith("${TinyModel.RIGHT} is damaged or was changed: its"))
        assertTrue(changed, changed.endsWith("with verify = false if you changed it on purpose"))
        val message = broken(verify = false, damage)
        assertTrue(message, message.startsWith("TensorFlow Lite 2.16.1 refuses ${TinyModel.RIGHT}"))
        assertTrue(message, message.endsWith("copy the file and model.json from the same build"))
    }

    @Test
    fun `an old runtime is told which file to take`() {
        val message = message { TinyModel.open(TinyModel.REFUSED) }
        println(message)
        assertTrue(message, message.startsWith("TensorFlow Lite 2.16.1 refuses"))
        assertTrue(message, message.endsWith("version '12'): ship ${TinyModel.RIGHT} instead"))
    }

    @Test
    fun `a vocabulary of another size and a newer description are refused`() {
        val vocabulary = broken { it.resolve("vocab.txt").appendText("more\n") }
        assertTrue(vocabulary, Regex("vocab.txt has \\d+ word pieces").containsMatchIn(vocabulary))
        val newer =
            broken { folder ->
                val description = folder.resolve("model.json")
                val text = description.readText()
                description.writeText(text.replace("schema_version\": 3", "schema_version\": 5"))
            }
        assertEquals("model.json has schema 5, this version reads 3 and 4: update this app", newer)
    }

    @Test
    fun `other signatures than promised are refused`() {
        val message =
            broken { folder ->
                TinyModel.edit(folder.resolve("model.json")) {
                    it.replace("\"signature\": \"answer\"", "\"signature\": \"a\"")
                }
            }
        assertTrue(message, "has the signatures {answer=[" in message)
    }

    @Test
    fun `too little memory is said`() {
        for (error in listOf(OutOfMemoryError(), IOException("Map failed", OutOfMemoryError()))) {
            val files = FileFolder(Builds.tiny)
            val folder =
                object : ModelFolder by files {
                    override fun map(name: String) = reading(name) { throw error }
                }
            assertEquals(
                "there is not enough memory to open the model: close other apps",
                message { QuestionAnswerer.open(folder, null, threads = 1) },
            )
        }
    }

    @Test
    fun `threads are 1 to 64`() {
        for (threads in listOf(0, 65, 10_000)) {
            assertThrows(IllegalArgumentException::class.java) {
                QuestionAnswerer.fromAssets(context, threads = threads)
            }
        }
    }

    @Test
    fun `a folder in place of a file is not called missing`() {
        val message =
            broken { folder ->
                folder.resolve("vocab.txt").delete()
                folder.resolve("vocab.txt").mkdir()
            }
        assertTrue(message, "vocab.txt is a folder, not a file" in message)
        val error = assertThrows(ModelException::class.java) { TinyModel.open("other.tflite") }
        assertEquals(ErrorKind.DAMAGED, error.kind)
    }

    @Test
    fun `an interrupted thread opens nothing, and keeps its flag`() {
        Thread.currentThread().interrupt()
        try {
            assertThrows(CancellationException::class.java) { TinyModel.open() }
            assertTrue(Thread.currentThread().isInterrupted)
        } finally {
            Thread.interrupted()
        }
    }

    private fun broken(verify: Boolean = true, change: (File) -> Unit): String {
        val folder = TinyModel.copy(temporary.newFolder())
        change(folder)
        return message { QuestionAnswerer.fromFolder(folder, verify = verify) }
    }

    private fun message(open: () -> QuestionAnswerer): String =
        assertThrows(ModelException::class.java) { open().close() }.message!!
}
