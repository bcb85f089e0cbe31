// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import android.content.Context
import android.content.res.AssetManager
import distilbert.mobile.core.ErrorKind
import distilbert.mobile.core.ModelException
import java.io.File
import java.io.FileInputStream
import java.io.FileNotFoundException
import java.io.IOException
import java.io.InputStream
import java.nio.MappedByteBuffer
import java.nio.channels.ClosedByInterruptException
import java.nio.channels.FileChannel.MapMode.READ_ONLY
import java.util.concurrent.CancellationException

/** Where `model.json` and what it names lie. */
internal interface ModelFolder {
    /**
     * The bytes of a small file.
     *
     * @throws ModelException if it is missing or cannot be read.
     */
    fun read(name: String): ByteArray

    /** The same as a text. */
    fun text(name: String): String = read(name).toString(Charsets.UTF_8)

    /**
     * A file mapped into memory: the system loads and drops its pages as it needs.
     *
     * @throws ModelException if it is missing or cannot be mapped.
     */
    fun map(name: String): MappedByteBuffer

    /** Where a file lies: among the assets, or on disk where those are null. */
    fun place(name: String): Pair<AssetManager?, String>

    /** What changes if a file does; null if that cannot be told, and nothing may be remembered. */
    fun state(name: String): String? = null

    /** What remembers the files that were checked. */
    val verified: Verified get() = Verified.InProcess
}

/** A [folder] among an app's assets. */
internal class AssetFolder(context: Context, private val folder: String) : ModelFolder {
    private val assets: AssetManager = context.assets

    /** Assets change with the installation alone. */
    override val verified: Verified = Verified.OfInstallation(context)

    override fun place(name: String): Pair<AssetManager?, String> = assets to path(name)

    override fun state(name: String) = words(name)

    override fun read(name: String): ByteArray =
        reading(words(name), { isFolder(name) }) {
            assets.open(path(name)).use(InputStream::readBytes)
        }

    override fun map(name: String): MappedByteBuffer {
        // Only an asset that is not compressed has a place in the APK.
        val descriptor =
            try {
                assets.openFd(path(name))
            } catch (error: IOException) {
                reading(words(name), { isFolder(name) }) { assets.open(path(name)).close() }
                throw ModelException(
                    "${words(name)} is compressed and cannot be mapped: add " +
                        "androidResources.noCompress += \"tflite\" to the app's build file",
                    error,
                )
            }
        return reading(words(name)) {
            descriptor.use { found ->
                // Not createInputStream(): newer releases count its channel from the asset's start.
                FileInputStream(found.fileDescriptor).channel.use {
                    it.map(READ_ONLY, found.startOffset, found.length)
                }
            }
        }
    }

    private fun isFolder(name: String) = !assets.list(path(name)).isNullOrEmpty()

    private fun path(name: String) = if (folder.isEmpty()) name else "$folder/$name"

    private fun words(name: String) = "assets/${path(name)}"
}

/** A [folder] of files. */
internal class FileFolder(private val folder: File) : ModelFolder {
    override fun read(name: String): ByteArray =
        File(folder, name).let { reading(it.path, it::isDirectory) { it.readBytes() } }

    override fun map(name: String): MappedByteBuffer =
        File(folder, name).let { file ->
            reading(file.path, file::isDirectory) {
                FileInputStream(file).channel.use { it.map(READ_ONLY, 0, it.size()) }
            }
        }

    override fun place(name: String): Pair<AssetManager?, String> =
        null to File(folder, name).absolutePath

    /** Its size and time of change; a file that just changed could change again without a trace. */
    override fun state(name: String): String? {
        val file = File(folder, name)
        val changed = file.lastModified()
        val isSettled = changed != 0L && System.currentTimeMillis() - changed > SETTLED
        return if (isSettled) "${file.absolutePath} ${file.length()} $changed" else null
    }

    private companion object {
        /** Milliseconds; the coarsest clocks of file systems count two seconds. */
        const val SETTLED = 3_000
    }
}

/**
 * Reads from a [place]; its errors as one sentence.
 *
 * @param isFolder whether a folder lies there.
 * @throws CancellationException if the thread is interrupted.
 */
internal fun <T> reading(place: String, isFolder: () -> Boolean = { false }, read: () -> T): T =
    try {
        read()
    } catch (error: FileNotFoundException) {
        // Java says so of three different things.
        val problem =
            when {
                isFolder() -> "is a folder, not a file"
                error.message.orEmpty().contains(
                    "ermission denied",
                ) -> "may not be read by this app"
                else -> "is missing"
            }
        throw ModelException(
            "$place $problem: copy the whole folder that the build wrote",
            error,
            ErrorKind.MISSING,
        )
    } catch (error: ClosedByInterruptException) {
        throw CancellationException("the thread was interrupted").initCause(error)
    } catch (error: IOException) {
        // How a file says that it cannot be mapped for want of memory.
        (error.cause as? OutOfMemoryError)?.let { throw it }
        throw ModelException("$place cannot be read: ${error.message}", error, ErrorKind.MISSING)
    }
