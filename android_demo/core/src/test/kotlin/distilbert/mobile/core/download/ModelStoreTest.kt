// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.download

import distilbert.mobile.core.ErrorKind
import distilbert.mobile.core.ModelDescription
import distilbert.mobile.core.ModelException
import distilbert.mobile.core.sha256
import distilbert.mobile.testing.Builds
import org.junit.After
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import java.io.File
import java.net.InetAddress
import java.net.ServerSocket
import java.net.Socket
import java.net.SocketException
import java.nio.ByteBuffer
import java.util.concurrent.CancellationException
import kotlin.concurrent.thread

/** Downloads from a server in this process that cuts off, lies, and knows no ranges. */
class ModelStoreTest {
    @get:Rule
    val temporary = TemporaryFolder()
    private val served by lazy { copy() }
    private val store by lazy { ModelStore(temporary.root.resolve("models")) }
    private val server = CutOffServer { served }
    private val model = ModelDescription.parse(Builds.tiny.resolve("model.json").readText())
    private val file = model.files.values.first { it.path == model.default }

    @After
    fun stop() = server.close()

    @Test
    fun `a model is loaded over connections that break`() {
        server.mostBytes = 20_000
        val progress = ArrayList<Long>()
        val folder = store.download(server.address) { bytes, _ -> progress.add(bytes) }
        assertEquals(folder, store.current)
        for (name in listOf("model.json", "vocab.txt", "golden.json", model.default)) {
            val expected = Builds.tiny.resolve(name).readBytes()
            assertArrayEquals(expected, folder.resolve(name).readBytes())
        }
        assertTrue("${server.ranges} ranges", server.ranges >= 3)
        assertEquals(file.bytes, progress.last())
        assertEquals(progress.sorted(), progress)
        // Nothing is loaded twice.
        val requests = server.requests
        assertEquals(folder, store.download(server.address))
        assertEquals(requests + 1, server.requests)
    }

    @Test
    fun `an interrupted download goes on, and the old model stays until the new one is there`() {
        val old = store.download(server.address)
        served.resolve("model.json").appendText("\n")
        assertThrows(CancellationException::class.java) {
            store.download(server.address, isCancelled = { server.requests > 7 })
        }
        assertEquals(old, store.current)
        server.mostBytes = 0
        val error = assertThrows(ModelException::class.java) { store.download(server.address) }
        assertEquals(ErrorKind.NETWORK, error.kind)
        assertEquals(old, store.current)
        server.mostBytes = Int.MAX_VALUE
        val new = store.download(server.address)
        assertEquals(new, store.current)
        assertTrue(new != old && !old.exists())
    }

    @Test
    fun `another file of the same model takes its place, and nothing else stays`() {
        val old = store.download(server.address)
        val partial = temporary.root.resolve("models/partial")
        partial.mkdirs()
        partial.resolve("file-of-another-model").writeText("begun")
        val other = model.files.values.first { it.path != model.default }
        val new = store.download(server.address, file = other.path)
        assertEquals(new, store.current)
        assertTrue(new != old && !old.exists())
        assertEquals(
            setOf("model.json", "vocab.txt", "golden.json", other.path),
            new.list().orEmpty().toSet(),
        )
    }

    @Test
    fun `a present model with a damaged or missing file is loaded again`() {
        val folder = store.download(server.address)
        for (name in listOf("model.json", "vocab.txt", "golden.json", model.default)) {
            val file = folder.resolve(name)
            val whole = file.readBytes()
            // The name, the size and the form of the file stay.
            val changed = whole.copyOf()
            val place = whole.lastIndexOf('1'.code.toByte())
            changed[place]++
            file.writeBytes(changed)
            assertEquals(folder, store.download(server.address))
            assertArrayEquals(name, whole, file.readBytes())
            file.delete()
            assertEquals(folder, store.download(server.address))
            assertArrayEquals(name, whole, file.readBytes())
        }
        val requests = server.requests
        assertEquals(folder, store.download(server.address))
        assertEquals(requests + 1, server.requests)
    }

    @Test
    fun `a server that knows no ranges sends the whole file again`() {
        server.knowsRanges = false
        server.cuts = 2
        val folder = store.download(server.address)
        assertEquals(file.bytes, folder.resolve(model.default).length())
        assertEquals(0, server.ranges)
    }

    @Test
    fun `other files than those that are named are refused`() {
        val right = ByteBuffer.wrap(served.resolve("model.json").readBytes()).sha256()
        store.download(server.address, right)
        val other =
            assertThrows(ModelException::class.java) { store.download(server.address, "00") }
        assertTrue("$other", "has another model.json" in other.message.orEmpty())
        served.resolve("model.json").appendText(" ")
        val bytes = served.resolve(model.default).readBytes()
        bytes[bytes.size / 2]++
        served.resolve(model.default).writeBytes(bytes)
        val changed = assertThrows(ModelException::class.java) { store.download(server.address) }
        assertTrue("$changed", "has another ${model.default}" in changed.message.orEmpty())
    }

    @Test
    fun `only https is taken, and what cannot be reached is said`() {
        for (address in listOf(
            *arrayOf("http://example.com/model", "ftp://localhost/model"),
            *arrayOf("example.com/model", "localhost:80/model", "/model", "no-scheme://model", ""),
        )) {
            val error =
                assertThrows(address, IllegalArgumentException::class.java) {
                    store.download(address)
                }
            assertEquals("$address: an address with https is needed", error.message)
        }
        val gone = server.address
        server.close()
        val error = assertThrows(ModelException::class.java) { store.download(gone) }
        assertEquals(ErrorKind.NETWORK, error.kind)
        assertNull(store.current)
    }

    private fun copy(): File =
        temporary.newFolder().also { folder ->
            Builds.tiny.copyRecursively(folder, overwrite = true)
        }
}

/** Serves the files of a folder over HTTP, and breaks connections. */
private class CutOffServer(private val folder: () -> File) : AutoCloseable {
    private val socket = ServerSocket(0, 0, InetAddress.getLoopbackAddress())
    val address = "http://127.0.0.1:${socket.localPort}/"

    /** Bytes of a file that one connection sends. */
    @Volatile
    var mostBytes = Int.MAX_VALUE

    /** So many connections end in the middle of the file. */
    @Volatile
    var cuts = 0

    @Volatile
    var knowsRanges = true

    @Volatile
    var requests = 0

    /** Requests for the rest of a file. */
    @Volatile
    var ranges = 0

    init {
        thread(isDaemon = true) {
            try {
                while (true) socket.accept().use(::serve)
            } catch (_: SocketException) {
                // Closed.
            }
        }
    }

    private fun serve(client: Socket) {
        val lines = client.getInputStream().bufferedReader()
        val name =
            lines
                .readLine()
                .orEmpty()
                .split(' ')
                .getOrElse(1) { "" }
                .trim('/')
        val headers = generateSequence { lines.readLine().orEmpty().ifEmpty { null } }.toList()
        requests++
        val range = headers.firstOrNull { it.startsWith("Range:", ignoreCase = true) }
        val from =
            if (knowsRanges && range != null) range.filter(Char::isDigit).toInt() else 0
        if (from > 0) ranges++
        val bytes = folder().resolve(name).readBytes()
        val rest = bytes.copyOfRange(from, bytes.size)
        val status = if (from > 0) "206 Partial Content" else "200 OK"
        val header =
            "HTTP/1.1 $status\r\nContent-Length: ${rest.size}\r\nConnection: close\r\n" +
                "Content-Range: bytes $from-${bytes.size - 1}/${bytes.size}\r\n\r\n"
        val sent = if (cuts-- > 0) rest.size / 2 else minOf(rest.size, mostBytes)
        try {
            client.getOutputStream().apply {
                write(header.toByteArray())
                write(rest, 0, sent)
                flush()
            }
        } catch (_: SocketException) {
            // The client took the download back.
        }
    }

    override fun close() = socket.close()
}
