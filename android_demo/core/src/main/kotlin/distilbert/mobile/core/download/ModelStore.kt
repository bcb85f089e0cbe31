// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.download

import distilbert.mobile.core.ErrorKind
import distilbert.mobile.core.Json
import distilbert.mobile.core.ModelDescription
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.readingFile
import distilbert.mobile.core.requireSeal
import distilbert.mobile.core.sha256
import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.file.Files
import java.nio.file.StandardCopyOption.ATOMIC_MOVE
import java.nio.file.StandardCopyOption.REPLACE_EXISTING
import java.util.concurrent.CancellationException

/**
 * Models that an app downloads, in folders below [root]; one of them is the present one.
 *
 * A download goes into a folder of its own and becomes the present model by one atomic rename, so
 * that a killed app has either the old model or the new one. What was loaded before an interruption
 * is kept, and the next [download] goes on from there. Let one thread at a time call [download].
 *
 * The app needs the permission INTERNET.
 */
class ModelStore(private val root: File) {
    private val pointer = root.resolve("current")
    private val partial = root.resolve("partial")

    /** The folder of the present model, for `QuestionAnswerer.fromFolder`; null if there is none. */
    val current: File?
        get() {
            if (!pointer.isFile) return null
            return root.resolve(pointer.readText()).takeIf { it.resolve(DESCRIPTION).isFile }
        }

    /**
     * Downloads a model unless it is the present one, and makes it the present one.
     *
     * The files of the present model are read once to compare them with their digests; if one is
     * missing or damaged, the model is downloaded again.
     *
     * A model that is open stays usable: its file is deleted, and remains mapped until it is closed.
     *
     * @param address of the folder that holds `model.json`, over https; over http only from this
     *   device itself, for tests.
     * @param sha256 the digest of `model.json`, hexadecimal, where the app knows it; it makes sure
     *   that everything else is what the app expects, because `model.json` has the other digests.
     * @param file the path in `model.json` of the model's file to load; its default if null.
     * @param isCancelled asked after every 64 KiB.
     * @param onProgress called after every 64 KiB with the bytes of the model's file that are there,
     *   and its size.
     * @return the folder of the model.
     * @throws ModelException if the server cannot be reached or stops sending (its kind is
     *   [ErrorKind.NETWORK]: call again later), or sends something else than expected.
     * @throws CancellationException once [isCancelled] says so.
     * @throws IllegalArgumentException if the address is neither https nor this device.
     */
    @JvmOverloads
    fun download(
        address: String,
        sha256: String? = null,
        file: String? = null,
        isCancelled: () -> Boolean = { false },
        onProgress: (bytes: Long, of: Long) -> Unit = { _, _ -> },
    ): File {
        val server = Server(address, isCancelled)
        try {
            partial.mkdirs()
            val json = partial.resolve(DESCRIPTION)
            json.delete()
            server.load(Part(DESCRIPTION, sha256 = sha256), json)
            val digest = ByteBuffer.wrap(json.readBytes()).sha256()
            val description = ModelDescription.parse(json.readText())
            val model =
                description.files.values.find { it.path == (file ?: description.default) }
                    ?: throw ModelException("model.json of $address names no $file")
            val name = folderName("$digest ${model.path}")
            val vocabulary = description.tokenizer.let { Part(it.file, sha256 = it.sha256) }
            val part = Part(model.path, model.bytes, model.sha256)
            val parts = listOf(Part(DESCRIPTION, sha256 = digest), vocabulary, part)
            val present = current
            if (present?.name == name && isWhole(present, parts, description.golden)) {
                return present
            }
            server.load(vocabulary, at(vocabulary.name))
            // The server's file may be another than the one that an interruption left here.
            at(description.golden).delete()
            val golden = at(description.golden)
            server.load(Part(description.golden), golden)
            readingFile(description.golden) { requireSeal(golden) }
            server.load(part, at(model.path)) { onProgress(it, model.bytes) }
            return present(name, setOf(json, at(vocabulary.name), golden, at(model.path)))
        } catch (error: IOException) {
            throw ModelException(
                "the model cannot be downloaded from $address: ${error.message}",
                error,
                ErrorKind.NETWORK,
            )
        }
    }

    /** Whether [folder] has all [parts], and the [golden] cases that the build wrote. */
    private fun isWhole(folder: File, parts: List<Part>, golden: String): Boolean =
        parts.all { it.isRight(folder.resolve(it.name)) } &&
            try {
                requireSeal(folder.resolve(golden))
                true
            } catch (_: ModelException) {
                false
            } catch (_: IOException) {
                false
            }

    private fun requireSeal(golden: File) = Json.parse(golden.readText()).requireSeal(golden.name)

    private fun at(name: String) = partial.resolve(name)

    /** Of a model by its [content]; another file of the same model has a folder of its own. */
    private fun folderName(content: String) =
        ByteBuffer.wrap(content.toByteArray()).sha256().take(NAME_DIGITS)

    /** Makes the [files] that were loaded the present model, and deletes everything else. */
    private fun present(name: String, files: Set<File>): File {
        // What the interrupted download of another model left.
        partial.listFiles { other -> other !in files }?.forEach { it.deleteRecursively() }
        val folder = root.resolve(name)
        folder.deleteRecursively()
        Files.move(partial.toPath(), folder.toPath(), ATOMIC_MOVE)
        val aside = root.resolve("current.new")
        aside.writeText(name)
        Files.move(aside.toPath(), pointer.toPath(), ATOMIC_MOVE, REPLACE_EXISTING)
        root.listFiles { other -> other.isDirectory && other != folder }?.forEach {
            it.deleteRecursively()
        }
        return folder
    }

    private companion object {
        const val DESCRIPTION = "model.json"

        /** Digits of the digest that name a folder. */
        const val NAME_DIGITS = 16
    }
}
