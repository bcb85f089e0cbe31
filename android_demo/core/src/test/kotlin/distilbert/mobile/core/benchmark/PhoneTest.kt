// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.core.benchmark

import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Test

class PhoneTest {
    @Test
    fun `reads a process's memory`() {
        val memory =
            ProcessMemory.parse(
                "Name:\tmobile.app\nVmHWM:\t  204800 kB\nVmRSS:\t    1024 kB\nRssAnon:\t 512 kB\n" +
                    "Threads:\t12\nCpus_allowed: ff\n\nbroken\n",
            )
        assertEquals(204800L * 1024, memory.peak)
        assertEquals(1024L * 1024, memory.resident)
        assertEquals(512L * 1024, memory.anonymous)
        assertNull(memory.fileBacked)
        assertNull(ProcessMemory.parse("").peak)
    }
}
