// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

/** The phone that is measured. */
interface Phone {
    /** What no benchmark changes. */
    fun device(): Device

    /** How it is now. */
    fun state(): PhoneState

    /** What this process holds. */
    fun memory(): ProcessMemory

    /** What makes its figures doubtful, a line for each reason. */
    fun cautions(): List<String>
}

/**
 * A phone's model; nothing that tells one phone from another.
 *
 * @property cpu its processor, as the system names it.
 * @property flags what its instructions can do, as Linux lists it.
 * @property governor of the first core's clock.
 * @property appVersion of the app that measures.
 */
class Device(
    val manufacturer: String,
    val model: String,
    val soc: String?,
    val cpu: String?,
    val architecture: String?,
    val cores: Int,
    val flags: List<String>,
    val governor: String?,
    val memoryBytes: Long?,
    val android: String,
    val api: Int,
    val abis: List<String>,
    val kernel: String?,
    val appVersion: String,
) {
    /** As `benchmarks.measure.machine.describe` tells of a computer. */
    internal fun machineJson(): Map<String, Any?> =
        mapOf(
            "cpu" to cpu,
            "architecture" to architecture,
            "logical_cores" to cores,
            "flags" to flags,
            "governor" to governor,
            "memory_bytes" to memoryBytes,
            "os" to "Android $android (API $api)",
            "kernel" to kernel,
            "python" to null,
            "load_average" to null,
            "gpus" to emptyList<Any>(),
        )

    internal fun json(runtime: String, before: PhoneState, after: PhoneState): Map<String, Any?> =
        mapOf(
            "manufacturer" to manufacturer,
            "model" to model,
            "soc" to soc,
            "android" to android,
            "api" to api,
            "abis" to abis,
            "runtime" to runtime,
            "app_version" to appVersion,
            "before" to before.json(),
            "after" to after.json(),
        )
}

/**
 * A phone at one moment; null is what it does not tell.
 *
 * @property thermalStatus Android's, from 0 (none) to 6 (shutdown).
 * @property clocksKhz current frequency of each core.
 */
class PhoneState(
    val batteryPercent: Double?,
    val batteryCelsius: Double?,
    val charging: Boolean?,
    val thermalStatus: Int?,
    val clocksKhz: List<Int>?,
) {
    internal fun json(): Map<String, Any?> =
        mapOf(
            "battery_percent" to batteryPercent,
            "battery_celsius" to batteryCelsius,
            "charging" to charging,
            "thermal_status" to thermalStatus,
            "clocks_khz" to clocksKhz,
        )
}

/** Bytes of this process: [peak] the most it ever held, [resident] now, of which two kinds. */
class ProcessMemory(
    val peak: Long?,
    val resident: Long?,
    val anonymous: Long?,
    val fileBacked: Long?,
) {
    companion object {
        private const val KIBIBYTE = 1024

        /** Reads Linux's `/proc/self/status`; what it lacks is null. */
        fun parse(status: String): ProcessMemory {
            val found =
                status
                    .lineSequence()
                    .mapNotNull { line ->
                        val (name, value) =
                            line.split(':', limit = 2).takeIf { it.size == 2 }
                                ?: return@mapNotNull null
                        val kibibytes = value.trim().removeSuffix(" kB").toLongOrNull()
                        kibibytes?.let { name to it * KIBIBYTE }
                    }.toMap()
            return ProcessMemory(
                found["VmHWM"],
                found["VmRSS"],
                found["RssAnon"],
                found["RssFile"],
            )
        }
    }
}

/**
 * A processor as Linux's `/proc/cpuinfo` tells of it.
 *
 * @property name null where it has none.
 * @property flags those that decide which matrix kernels a runtime can pick.
 */
class CpuInfo private constructor(val name: String?, val flags: List<String>) {
    companion object {
        // As in benchmarks/measure/machine.py.
        private val RELEVANT =
            listOf(
                *arrayOf("avx", "fma", "f16c", "avx2", "avx_vnni", "avx512f", "avx512bw"),
                *arrayOf("avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8"),
                *arrayOf("amx_bf16", "neon", "asimd", "asimdhp", "asimddp", "i8mm", "bf16"),
                *arrayOf("sve", "sve2", "sme"),
            )

        /** Reads the file; of the names of several cores all different ones. */
        fun parse(text: String): CpuInfo {
            val entries =
                text
                    .lineSequence()
                    .mapNotNull { line ->
                        val colon = line.indexOf(':').takeIf { it >= 0 } ?: return@mapNotNull null
                        line.take(colon).trim() to line.drop(colon + 1).trim()
                    }.toList()

            fun all(name: String) = entries.filter { it.first == name }.map { it.second }.distinct()
            val parts = all("CPU part").joinToString(" and ")
            // 64-bit Arm gives numbers, not a name.
            val arm = "Arm implementer ${all("CPU implementer").firstOrNull()} part $parts"
            val present =
                (
                    all(
                        "flags",
                    ) + all("Features")
                ).firstOrNull().orEmpty().split(' ').toSet()
            return CpuInfo(
                all("model name").firstOrNull { it.isNotEmpty() }
                    ?: arm.takeIf { parts.isNotEmpty() },
                RELEVANT.filter { it in present },
            )
        }
    }
}
