# SPDX-License-Identifier: Apache-2.0
"""What a phone tells of itself: make, battery, heat and clocks; and waiting until it has cooled."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.device.adb import Phone
from benchmarks.measure import machine
from benchmarks.measure.device_schema import THERMAL, Device, Machine, State

CLOCKS = "/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"
GOVERNOR = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"

# BatteryManager.BATTERY_STATUS_CHARGING of Android.
CHARGING = "2"

# Below it, phones save energy by lowering clocks.
LOW_BATTERY_PERCENT = 30.0

# A battery's temperature comes in tenths and wavers by a few of them; one degree is cool again.
COOL_WITHIN = 1.0
LOOK_SECONDS = 5.0


def state(phone: Phone) -> State:
    """Battery, heat and clocks, now."""
    battery = dict(re.findall(r"^\s*([\w ]+): (\S+)", phone.text("dumpsys battery"), re.MULTILINE))
    thermal = re.search(r"Thermal Status: ([0-9]{1,9})", phone.text("dumpsys thermalservice"))
    clocks = re.findall(r"/cpu([0-9]+)/\S+:([0-9]+)", phone.text(f"grep -H . {CLOCKS}; true"))
    level, scale = _number(battery.get("level")), _number(battery.get("scale")) or 100.0
    tenths = _number(battery.get("temperature"))
    return {
        "battery_percent": None if level is None else 100 * level / scale,
        "battery_celsius": None if tenths is None else tenths / 10,
        "charging": battery["status"] == CHARGING if "status" in battery else None,
        "thermal_status": int(thermal[1]) if thermal else None,
        "clocks_khz": [int(khz) for _, khz in sorted(clocks, key=lambda one: int(one[0]))] or None,
    }


def describe(phone: Phone, before: State) -> tuple[Device, Machine]:
    """The phone as a report's `device`, `runtime` still empty, and as its `machine`."""
    properties = dict(re.findall(r"^\[(.+?)\]: \[(.*)\]\r?$", phone.text("getprop"), re.MULTILINE))

    def known(*names: str) -> str:
        return " ".join(filter(None, (properties.get(name, "") for name in names)))

    soc = known("ro.soc.manufacturer", "ro.soc.model") or known("ro.board.platform")
    api = known("ro.build.version.sdk")
    device: Device = {
        "manufacturer": known("ro.product.manufacturer"),
        "model": known("ro.product.model"),
        "soc": soc or None,
        "android": known("ro.build.version.release"),
        "api": int(api) if api.isdecimal() else 0,
        "abis": [abi for abi in known("ro.product.cpu.abilist").split(",") if abi],
        "runtime": "",
        "app_version": None,
        "before": before,
        "after": before,
    }
    info = phone.text("cat /proc/cpuinfo")
    cpu, flags = machine.parse_cpu_info(info)
    memory = re.search(r"MemTotal:\s+([0-9]+) kB", phone.text("cat /proc/meminfo"))
    load = re.match(r"([0-9.]+) ([0-9.]+) ([0-9.]+) ", phone.text("cat /proc/loadavg"))
    return device, {
        "cpu": soc or cpu,
        "architecture": phone.text("uname -m") or None,
        "logical_cores": len(re.findall(r"^processor\s*:", info, re.MULTILINE)) or None,
        "flags": flags,
        "governor": phone.text(f"cat {GOVERNOR}") or None,
        "memory_bytes": int(memory[1]) * 1024 if memory else None,
        "os": f"Android {device['android']} (API {device['api']})",
        "kernel": phone.text("uname -sr") or None,
        "python": None,
        "load_average": [float(part) for part in load.groups()] if load else None,
        "gpus": [],
    }


def doubts(now: State) -> list[str]:
    """A line for everything in a phone's state that makes its times doubtful."""
    found = []
    if now["charging"]:
        found.append("the phone was charging, which heats it: charge it first, then measure")
    percent = now["battery_percent"]
    if percent is not None and percent < LOW_BATTERY_PERCENT:
        found.append(f"the battery was at {percent:.0f} %: phones lower their clocks to save it")
    status = now["thermal_status"]
    if status:
        named = THERMAL[status] if status < len(THERMAL) else "unknown"
        found.append(f"the thermal status was {status} ({named}): the phone lowered its clocks")
    return found


@dataclass
class Cooler:
    """Waits between runs until the battery is cool; `doubts` collects what it saw.

    Attributes:
        phone: that is measured.
        target: degrees Celsius to cool to; None does not wait.
        limit: seconds to wait at most each time.
        tell: is given a line where it waits.
    """

    phone: Phone
    target: float | None
    limit: float
    tell: Callable[[str], None]
    doubts: list[str] = field(default_factory=list)

    def cool(self) -> None:
        """Wait, if the battery is too warm."""
        end, told = time.monotonic() + self.limit, False
        while True:
            now = state(self.phone)
            celsius = now["battery_celsius"]
            if self.target is None or celsius is None or celsius <= self.target:
                break
            left = end - time.monotonic()
            if left <= 0:
                self.doubts.append(
                    f"the battery did not cool to {self.target:.1f} C in {self.limit:g} s before "
                    "some runs: they may be slower for it"
                )
                break
            if not told:
                self.tell(
                    f"the battery has {celsius:.1f} C: waiting until {self.target:.1f} C, at most "
                    f"{self.limit:g} s"
                )
                told = True
            time.sleep(min(LOOK_SECONDS, left))
        self.doubts += doubts(now)


def _number(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]+)?", text) else None
