// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.app

import android.content.Intent
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.util.ReflectionHelpers
import java.io.File

@RunWith(RobolectricTestRunner::class)
class AndroidPhoneTest {
    @get:Rule
    val root = TemporaryFolder()

    private val phone by lazy { AndroidPhone(app, root.root) { listOf("another reason") } }

    private fun write(path: String, text: String) =
        File(root.root, path).apply { parentFile!!.mkdirs() }.writeText(text)

    @Test
    fun `tells what Android and Linux tell`() {
        val cpu =
            "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm crc32\n" +
                "CPU implementer\t: 0x41\nCPU part\t: 0xd46\n"
        write("proc/cpuinfo", cpu + cpu.replace("0xd46", "0xd4d"))
        write("proc/self/status", "VmHWM:\t   2048 kB\nVmRSS:\t 1024 kB\n")
        val folder = "sys/devices/system/cpu"
        write("$folder/cpu0/cpufreq/scaling_governor", "schedutil\n")
        val cores = Runtime.getRuntime().availableProcessors()
        repeat(cores) { write("$folder/cpu$it/cpufreq/scaling_cur_freq", "180000$it\n") }
        ReflectionHelpers.setStaticField(Build::class.java, "SOC_MANUFACTURER", "Fictitious")
        ReflectionHelpers.setStaticField(Build::class.java, "SOC_MODEL", "F1")
        @Suppress("DEPRECATION")
        app.sendStickyBroadcast(
            Intent(Intent.ACTION_BATTERY_CHANGED)
                .putExtra(BatteryManager.EXTRA_LEVEL, 40)
                .putExtra(BatteryManager.EXTRA_SCALE, 50)
                .putExtra(BatteryManager.EXTRA_TEMPERATURE, 315)
                .putExtra(BatteryManager.EXTRA_PLUGGED, 0),
        )
        val power = app.getSystemService(PowerManager::class.java)
        shadowOf(power).setCurrentThermalStatus(PowerManager.THERMAL_STATUS_LIGHT)
        shadowOf(power).setIsPowerSaveMode(true)

        val device = phone.device()
        assertEquals("Arm implementer 0x41 part 0xd46 and 0xd4d", device.cpu)
        assertEquals(listOf("asimd", "asimddp", "i8mm"), device.flags)
        assertEquals("schedutil", device.governor)
        assertEquals("Fictitious F1", device.soc)
        assertEquals(cores, device.cores)
        assertEquals(35, device.api)
        assertTrue(device.abis.isNotEmpty())
        val state = phone.state()
        assertEquals(80.0, state.batteryPercent!!, 0.0)
        assertEquals(31.5, state.batteryCelsius!!, 0.0)
        assertEquals(false, state.charging)
        assertEquals(1, state.thermalStatus)
        assertEquals(List(cores) { 1_800_000 + it }, state.clocksKhz)
        assertEquals(2048L * 1024, phone.memory().peak)
        assertEquals(
            listOf(app.getString(R.string.benchmark_saver), "another reason"),
            phone.cautions(),
        )
    }

    @Test
    fun `what is not told is null`() {
        val device = phone.device()
        assertNull(device.governor)
        assertEquals(emptyList<String>(), device.flags)
        assertNull(phone.state().clocksKhz)
        assertNull(phone.memory().peak)
    }
}
