// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import java.io.File

/** How many threads a device gets, by what its kernel says of its cores. */
class CoresTest {
    @get:Rule
    val temporary = TemporaryFolder()

    @Test
    fun `frequencies tell the slow cores`() {
        val slow = List(4) { 1_803_000L }
        assertEquals(4, byFrequency(slow + List(3) { 2_419_000L } + 2_841_000L))
        assertEquals(2, byFrequency(slow + slow.take(2) + List(2) { 2_208_000L }))
        assertEquals("six are fast", 4, byFrequency(listOf(1, 1, 2, 2, 2, 2, 3, 3)))
        assertEquals("one is fast", 2, byFrequency(listOf(1, 1, 1, 2)))
    }

    @Test
    fun `cores of one kind are all fast`() {
        for ((cores, threads) in listOf(6 to 4, 4 to 4, 3 to 3, 2 to 2, 1 to 1)) {
            assertEquals(threads, byFrequency(List(cores) { 2_000_000L }))
        }
    }

    @Test
    fun `capacities count more than frequencies`() {
        // Both kinds are large: by its frequencies, this device would get two threads.
        val capacities = List(6) { 790L } + List(2) { 1_024L }
        val frequencies = List(6) { 3_530_000L } + List(2) { 4_320_000L }
        assertEquals(4, Cores.fast(device(capacities, frequencies), capacities.size))
        assertEquals(2, Cores.fast(device(List(6) { 380L } + List(2) { 1_024L }, emptyList()), 8))
    }

    @Test
    fun `a process gets no more threads than it has cores`() {
        val eight = device(emptyList(), List(4) { 1L } + List(4) { 2L })
        for ((cores, threads) in listOf(0 to 1, 1 to 1, 2 to 2, 3 to 3, 4 to 4, 8 to 4)) {
            assertEquals(threads, Cores.fast(eight, cores))
        }
    }

    @Test
    fun `what cannot be read counts for nothing`() {
        assertEquals(4, Cores.fast(temporary.root.resolve("missing"), 8))
        assertEquals(3, Cores.fast(temporary.newFolder(), 3))
        val odd = device(emptyList(), listOf(1, 1, 2, 2, 2))
        odd.resolve("cpu4/cpufreq/cpuinfo_max_freq").delete() // a core that is switched off
        odd.resolve("cpufreq").mkdir()
        odd.resolve("cpuidle").writeText("7")
        listOf("", "fast\n", "-1", "9".repeat(40)).forEachIndexed { place, text ->
            val folder = odd.resolve("cpu${5 + place}/cpufreq")
            folder.mkdirs()
            folder.resolve("cpuinfo_max_freq").writeText(text)
        }
        odd.resolve("cpu9/cpufreq/cpuinfo_max_freq").mkdirs()
        assertEquals(2, Cores.fast(odd, 8))
    }

    @Test
    fun `this machine has a number`() {
        assertTrue(Cores.fast() in 1..4)
    }

    private fun byFrequency(frequencies: List<Long>) =
        Cores.fast(device(emptyList(), frequencies), frequencies.size)

    /** A folder as the kernel has it: in kilohertz, with a line feed after each number. */
    private fun device(capacities: List<Long>, frequencies: List<Long>): File {
        val folder = temporary.newFolder()
        capacities.forEachIndexed { number, capacity ->
            folder.resolve("cpu$number").mkdirs()
            folder.resolve("cpu$number/cpu_capacity").writeText("$capacity\n")
        }
        frequencies.forEachIndexed { number, frequency ->
            folder.resolve("cpu$number/cpufreq").mkdirs()
            folder.resolve("cpu$number/cpufreq/cpuinfo_max_freq").writeText("$frequency\n")
        }
        return folder
    }
}
