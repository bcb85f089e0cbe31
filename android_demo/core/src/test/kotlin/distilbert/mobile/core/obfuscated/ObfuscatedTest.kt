// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.obfuscated

import com.android.tools.r8.CompilationMode
import com.android.tools.r8.JdkClassFileProvider
import com.android.tools.r8.OutputMode
import com.android.tools.r8.R8
import com.android.tools.r8.R8Command
import com.android.tools.r8.origin.Origin
import distilbert.mobile.core.WordPieceTokenizer
import distilbert.mobile.testing.Builds
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import java.io.File
import java.net.URLClassLoader
import java.util.function.Function
import java.util.zip.ZipEntry
import java.util.zip.ZipFile
import java.util.zip.ZipOutputStream

/** What a release build does to the library: R8 shrinks, optimizes and renames all of it. */
class ObfuscatedTest {
    @get:Rule
    val temporary = TemporaryFolder()

    @Test
    fun `the golden cases come out right where R8 renames the library`() {
        val jar = obfuscated()
        val names = ZipFile(jar).use { zip -> zip.entries().toList().map { it.name } }
        assertTrue("distilbert/mobile/core/characters.txt" in names)
        assertTrue("distilbert/mobile/core/ModelException.class" in names)
        for (name in listOf("Characters", "WordPieceTokenizer", "Json", "spans/Answerer")) {
            assertFalse("$name keeps its name", "distilbert/mobile/core/$name.class" in names)
        }
        // Without this test's own classes, which are not obfuscated.
        val jars = arrayOf(jar, stdlib).map { it.toURI().toURL() }.toTypedArray()
        URLClassLoader(jars, ClassLoader.getPlatformClassLoader()).use { loader ->
            @Suppress("UNCHECKED_CAST")
            val program =
                loader.loadClass(PROGRAM).getConstructor().newInstance() as
                    Function<File, IntArray>
            val counts = program.apply(Builds.golden)
            println("obfuscated by R8: ${counts.joinToString()} as GoldenProgram counts")
            assertTrue("only ${counts[0]} texts", counts[0] >= 3000)
            assertEquals("texts that differ", 0, counts[1])
            assertTrue("only ${counts[2]} questions", counts[2] >= 3)
            assertEquals("questions that differ", 0, counts[DIFFERENT_QUESTIONS])
        }
    }

    private val stdlib = place(KotlinVersion::class.java)

    private fun obfuscated(): File {
        // R8's own assertions double its time.
        javaClass.classLoader.setPackageAssertionStatus("com.android.tools.r8", false)
        val output = temporary.root.resolve("obfuscated.jar")
        val command =
            R8Command
                .builder()
                .addProgramFiles(library().toPath(), program().toPath())
                // Kotlin's own library is left as it is: R8 takes much longer with it.
                .addLibraryFiles(stdlib.toPath())
                .addLibraryResourceProvider(JdkClassFileProvider.fromSystemJdk())
                .addProguardConfiguration(
                    RULES.flatMap { it.readLines() } +
                        "-keep class $PROGRAM { public <init>(); }",
                    Origin.unknown(),
                ).setMode(CompilationMode.RELEASE)
                .setOutput(output.toPath(), OutputMode.ClassFile)
                .build()
        R8.run(command)
        return output
    }

    private fun library(): File = zipped(place(WordPieceTokenizer::class.java), "")

    private fun program(): File =
        zipped(place(GoldenProgram::class.java), PROGRAM.replace('.', '/'))

    /** The files of a [folder] whose path begins with [prefix], as a jar. */
    private fun zipped(folder: File, prefix: String): File {
        val jar = temporary.newFile("${prefix.length}.jar")
        ZipOutputStream(jar.outputStream()).use { zip ->
            for (file in folder.walk().filter { it.isFile }) {
                val name = file.relativeTo(folder).invariantSeparatorsPath
                if (!name.startsWith(prefix)) continue
                zip.putNextEntry(ZipEntry(name))
                zip.write(file.readBytes())
            }
        }
        return jar
    }

    /** Where a class was loaded from: a folder of classes or a jar. */
    private fun place(type: Class<*>) =
        File(
            type.protectionDomain.codeSource.location
                .toURI(),
        )

    private companion object {
        const val DIFFERENT_QUESTIONS = 3
        const val PROGRAM = "distilbert.mobile.core.obfuscated.GoldenProgram"

        /** Those of the release APK, as far as they are about this library. */
        val RULES =
            listOf("src/main/resources/META-INF/proguard/core.pro", "../apk/rules.pro").map(::File)
    }
}
