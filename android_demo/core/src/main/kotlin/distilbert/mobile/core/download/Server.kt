// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.download

import distilbert.mobile.core.ModelException
import java.io.File
import java.io.FileOutputStream
import java.io.IOException
import java.io.InputStream
import java.io.OutputStream
import java.net.HttpURLConnection
import java.net.MalformedURLException
import java.net.URL
import java.security.MessageDigest
import java.util.concurrent.CancellationException

/**
 * A file of a model on a server.
 *
 * @property name beside `model.json`.
 * @property bytes its size; null if nobody knows it.
 * @property sha256 its digest, hexadecimal; null if nobody knows it.
 */
internal class Part(val name: String, val bytes: Long? = null, val sha256: String? = null)

/**
 * Loads files from a folder of a web server, and goes on where a connection broke.
 *
 * @param address of the folder.
 * @param isCancelled asked after each piece.
 */
internal class Server(private val address: String, private val isCancelled: () -> Boolean) {
    init {
        require(isTrusted(address)) { "$address: an address with https is needed" }
    }

    /**
     * Loads [part] into [file], of which the beginning may be there already.
     *
     * @param onProgress called with the number of bytes that are there.
     * @throws IOException if the server cannot be reached, or stops sending again and again.
     * @throws ModelException if the server has another file than [part].
     * @throws CancellationException once the caller takes the download back.
     */
    fun load(part: Part, file: File, onProgress: (Long) -> Unit = {}) {
        val begun = file.length()
        if (part.sha256 != null && part.isRight(file)) return
        fetch(part, file, onProgress)
        val isRight = part.isRight(file)
        // What an earlier download left may be of another model: once more from the start.
        if (!isRight && begun > 0) {
            file.delete()
            fetch(part, file, onProgress)
        }
        if (!part.isRight(file)) {
            file.delete()
            throw ModelException(
                "$address has another ${part.name} than model.json or the app names",
            )
        }
    }

    /** Connects until all bytes are there; gives up where several connections bring none. */
    private fun fetch(part: Part, file: File, onProgress: (Long) -> Unit) {
        var failures = 0
        while (true) {
            val before = file.length()
            if (part.bytes != null && before >= part.bytes) return
            try {
                receive(part, file, onProgress)
                return
            } catch (error: IOException) {
                failures = if (file.length() > before) 0 else failures + 1
                if (failures == ATTEMPTS) throw error
            }
        }
    }

    /** One connection. */
    private fun receive(part: Part, file: File, onProgress: (Long) -> Unit) {
        val url = URL("${address.trimEnd('/')}/${part.name}")
        val connection = url.openConnection() as HttpURLConnection
        try {
            connection.connectTimeout = TIMEOUT
            connection.readTimeout = TIMEOUT
            // A range counts the bytes of the file itself.
            connection.setRequestProperty("Accept-Encoding", "identity")
            val begun = file.length()
            if (begun > 0) connection.setRequestProperty("Range", "bytes=$begun-")
            val isRest = sendsRest(connection, begun, file)
            val expected = connection.contentLengthLong
            val received =
                FileOutputStream(file, isRest).use { output ->
                    val start = if (isRest) begun else 0L
                    val copied =
                        connection.inputStream.use { input ->
                            copy(input, output) { count ->
                                onProgress(start + count)
                                part.bytes == null || start + count < part.bytes
                            }
                        }
                    // A rename can reach the disk before the bytes of the file that it names.
                    output.fd.sync()
                    copied
                }
            val isWhole = part.bytes != null && file.length() >= part.bytes
            if (received < expected && !isWhole) {
                throw IOException("${part.name} ended after ${file.length()} bytes")
            }
        } finally {
            connection.disconnect()
        }
    }

    /** Copies until the end, or until [goesOn] says no; returns the number of bytes. */
    private fun copy(input: InputStream, output: OutputStream, goesOn: (Long) -> Boolean): Long {
        val piece = ByteArray(PIECE)
        var copied = 0L
        do {
            if (isCancelled()) throw CancellationException("the download was taken back")
            val count = input.read(piece)
            if (count > 0) output.write(piece, 0, count)
            copied += maxOf(count, 0)
        } while (count >= 0 && goesOn(copied))
        return copied
    }

    /** Whether the server sends the rest after [begun] bytes, instead of the whole file. */
    private fun sendsRest(connection: HttpURLConnection, begun: Long, file: File): Boolean {
        val status = connection.responseCode
        val range = connection.getHeaderField("Content-Range").orEmpty()
        val isRest = status == HttpURLConnection.HTTP_PARTIAL && range.startsWith("bytes $begun-")
        if (status != HttpURLConnection.HTTP_OK && !isRest) {
            // There is no such rest: what is here is of another file.
            if (status == RANGE_NOT_SATISFIABLE) file.delete()
            throw IOException("${connection.url} answers with status $status")
        }
        return isRest
    }

    private companion object {
        const val ATTEMPTS = 3
        const val RANGE_NOT_SATISFIABLE = 416
        const val TIMEOUT = 30_000
        const val PIECE = 65_536

        /** Whether [address] is over https, or of this device; one without a scheme is neither. */
        fun isTrusted(address: String): Boolean {
            val url =
                try {
                    URL(address)
                } catch (_: MalformedURLException) {
                    return false
                }
            return url.protocol == "https" || url.protocol == "http" && isHere(url.host)
        }

        /** By name and not by address: looking a name up would ask the network. */
        fun isHere(host: String) = host in listOf("127.0.0.1", "localhost", "[::1]")
    }
}

/** Whether [file] is this part, as far as its size and its digest are known. */
internal fun Part.isRight(file: File): Boolean =
    file.isFile &&
        (bytes == null || file.length() == bytes) &&
        (sha256 == null || file.sha256() == sha256)

private fun File.sha256(): String {
    val digest = MessageDigest.getInstance("SHA-256")
    inputStream().use { input -> input.copyTo(DigestSink(digest)) }
    return digest.digest().joinToString("") { "%02x".format(it) }
}

/** Digests what is written. */
private class DigestSink(private val digest: MessageDigest) : OutputStream() {
    override fun write(byte: Int) = digest.update(byte.toByte())

    override fun write(bytes: ByteArray, from: Int, count: Int) = digest.update(bytes, from, count)
}
