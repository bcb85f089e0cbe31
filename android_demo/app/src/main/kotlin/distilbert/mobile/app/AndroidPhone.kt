// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.app.ActivityManager
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import distilbert.mobile.core.benchmark.CpuInfo
import distilbert.mobile.core.benchmark.Device
import distilbert.mobile.core.benchmark.Phone
import distilbert.mobile.core.benchmark.PhoneState
import distilbert.mobile.core.benchmark.ProcessMemory
import java.io.File
import java.io.IOException

/**
 * This phone, from what Android and Linux tell an app without a permission.
 *
 * @param root of the file system; `proc` and `sys` lie there.
 * @param others more reasons to doubt a measurement.
 */
internal class AndroidPhone(
    private val context: Context,
    private val root: File = File("/"),
    private val others: () -> List<String> = { emptyList() },
) : Phone {
    private val power = context.getSystemService(PowerManager::class.java)
    private val cores = Runtime.getRuntime().availableProcessors()

    override fun device(): Device {
        val cpu = CpuInfo.parse(read("proc/cpuinfo").orEmpty())
        return Device(
            manufacturer = Build.MANUFACTURER,
            model = Build.MODEL,
            soc = soc(),
            cpu = cpu.name ?: soc(),
            architecture = System.getProperty("os.arch"),
            cores = cores,
            flags = cpu.flags,
            governor = read("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            memoryBytes = totalMemory(),
            android = Build.VERSION.RELEASE,
            api = Build.VERSION.SDK_INT,
            abis = Build.SUPPORTED_ABIS.toList(),
            kernel = "Linux ${System.getProperty("os.version")}",
            appVersion = appVersion(),
        )
    }

    override fun state(): PhoneState {
        // No receiver: the answer is what was last broadcast.
        val battery = context.registerReceiver(null, IntentFilter(Intent.ACTION_BATTERY_CHANGED))
        val level = battery.tells(BatteryManager.EXTRA_LEVEL)
        val scale = battery.tells(BatteryManager.EXTRA_SCALE)
        return PhoneState(
            batteryPercent =
                if (level != null && scale != null && scale > 0) PERCENT * level / scale else null,
            batteryCelsius = battery.tells(BatteryManager.EXTRA_TEMPERATURE)?.let { it / TENTHS },
            charging = battery.tells(BatteryManager.EXTRA_PLUGGED)?.let { it != 0 },
            thermalStatus = thermalStatus(),
            clocksKhz = clocks(),
        )
    }

    override fun memory() = ProcessMemory.parse(read("proc/self/status").orEmpty())

    override fun cautions(): List<String> =
        listOfNotNull(
            context.getString(R.string.benchmark_saver).takeIf { power.isPowerSaveMode },
        ) + others()

    // Android's lint knows a check of the version by this form.
    private fun thermalStatus(): Int? =
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.Q) null else power.currentThermalStatus

    private fun soc(): String? =
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.S) {
            null
        } else {
            listOf(Build.SOC_MANUFACTURER, Build.SOC_MODEL)
                .filter { it != Build.UNKNOWN }
                .joinToString(" ")
                .ifEmpty { null }
        }

    private fun totalMemory(): Long =
        ActivityManager
            .MemoryInfo()
            .also { context.getSystemService(ActivityManager::class.java).getMemoryInfo(it) }
            .totalMem

    private fun appVersion(): String =
        context.packageManager
            .getPackageInfo(context.packageName, 0)
            .versionName
            .orEmpty()

    /** The present clock of each core; null where one is not told. */
    private fun clocks(): List<Int>? =
        (0 until cores)
            .map { read("sys/devices/system/cpu/cpu$it/cpufreq/scaling_cur_freq")?.toIntOrNull() }
            .takeUnless { null in it }
            ?.filterNotNull()

    private fun read(path: String): String? =
        try {
            File(root, path).readText().trim().ifEmpty { null }
        } catch (_: IOException) {
            null
        }

    private fun Intent?.tells(name: String): Int? =
        this?.getIntExtra(name, MISSING)?.takeUnless { it == MISSING }

    private companion object {
        const val MISSING = Int.MIN_VALUE
        const val PERCENT = 100.0
        const val TENTHS = 10.0
    }
}
