// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer

import java.io.File
import java.io.IOException
import java.lang.Runtime as JavaRuntime

/**
 * How many cores a model should use: the fast ones, as the kernel of the device describes them.
 *
 * A thread on a slow core holds up the others, and more than four threads gain little on the short
 * inputs of a model.
 */
internal object Cores {
    private const val FEWEST = 2
    private const val MOST = 4
    private val cpus = File("/sys/devices/system/cpu")
    private val core = Regex("cpu[0-9]+")

    /**
     * The number of threads, 2 to 4 where there are so many cores.
     *
     * Where the kernel states the capacity of each core (`cpu_capacity`), a core is fast if it has
     * at least half of the largest one. Where it states the highest frequencies alone
     * (`cpufreq/cpuinfo_max_freq`), all cores are fast but those of the slowest kind; frequencies
     * of different kinds of cores do not compare otherwise. Where neither can be read, every core
     * is taken for a fast one.
     *
     * @param folder of the kernel, with a folder `cpu0` and so on for each core.
     * @param available cores that this process may use.
     */
    fun fast(
        folder: File = cpus,
        available: Int = JavaRuntime.getRuntime().availableProcessors(),
    ): Int {
        val most = available.coerceIn(1, MOST)
        val capacities = numbers(folder, "cpu_capacity")
        val frequencies = numbers(folder, "cpufreq/cpuinfo_max_freq")
        val fast =
            when {
                capacities.isNotEmpty() -> capacities.count { 2 * it >= capacities.max() }
                frequencies.distinct().size > 1 -> frequencies.count { it > frequencies.min() }
                else -> most
            }
        return fast.coerceIn(minOf(FEWEST, most), most)
    }

    /** What the kernel says of each core under a name, where a process may read it. */
    private fun numbers(folder: File, name: String): List<Long> =
        folder
            .listFiles { file -> core.matches(file.name) }
            .orEmpty()
            .mapNotNull { number(it.resolve(name)) }

    /** A positive number in a file; null if there is none. */
    private fun number(file: File): Long? {
        val text =
            try {
                file.readText()
            } catch (_: IOException) {
                return null // not there, or not for apps
            }
        return text.trim().toLongOrNull()?.takeIf { it > 0 }
    }
}
