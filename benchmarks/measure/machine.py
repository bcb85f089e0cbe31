# SPDX-License-Identifier: Apache-2.0
"""The machine a number was measured on: enough to judge the number, nothing that identifies it.

No host name, user name or path is ever collected.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What decides which matrix kernels a runtime can pick: vector width, 16-bit floats, 8-bit dot
# products; names as Linux lists them (asimd is what 64-bit Arm calls NEON).
RELEVANT_FLAGS = (
    *("avx", "fma", "f16c", "avx2", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni"),
    *("avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    *("neon", "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
)

# Those of them that decide how fast 8-bit products are, with the names that people know.  Times of
# two processors that differ in one of them do not compare.
DECIDING = {
    "avx2": "AVX2",
    "avx_vnni": "AVX-VNNI",
    "avx512_vnni": "AVX512-VNNI",
    "amx_int8": "AMX-INT8",
    "asimddp": "dotprod",
    "i8mm": "i8mm",
    "sve": "SVE",
}

# A machine that is left alone is never quite idle, and the kernel's work for the measured process
# counts as others' too.
IDLE_CORES = 0.1

# 1-minute load average above which something else ran shortly before.
IDLE_LOAD = 0.5

CPU_TIMES = Path("/proc/stat")
CPU_INFO = Path("/proc/cpuinfo")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def describe() -> dict[str, Any]:
    """Describe this machine, now.

    Returns:
        JSON values: `cpu`, `architecture`, `logical_cores` (those this process may use), `flags`,
        `governor`, `memory_bytes`, `os`, `kernel`, `python`, `load_average` (1, 5 and 15
        minutes), `gpus`. What this system does not tell is None.
    """
    cpu, flags = parse_cpu_info(_read(CPU_INFO) or "")
    return {
        "cpu": cpu or _apple_cpu() or platform.processor() or None,
        "architecture": platform.machine(),
        "logical_cores": _usable_cores(),
        "flags": flags,
        "governor": _read(GOVERNOR),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "os": _os_name(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "gpus": _gpus(),
    }


def instructions(described: Mapping[str, Any]) -> str:
    """The class of a processor: its architecture and what it has of `DECIDING`.

    Args:
        described: as `describe` returned it, or an older or a phone's description.

    Returns:
        Words such as "x86_64 with AVX2 and AVX512-VNNI", or "" where the system did not list the
        features, as macOS.
    """
    listed, architecture = described.get("flags"), described.get("architecture")
    if not listed or not architecture:
        return ""
    names = [name for flag, name in DECIDING.items() if flag in listed]
    if not names:
        return f"{architecture} without {'AVX2' if 'avx' in listed else 'dotprod'}"
    return f"{architecture} with {' and '.join(filter(None, (', '.join(names[:-1]), names[-1])))}"


@dataclass(frozen=True)
class Clock:
    """CPU time so far, in seconds: of the whole machine (None if not told) and of this process.

    The machine's includes what a hypervisor took away; the process's its ended children's.
    """

    wall: float
    machine: float | None
    own: float


def clock() -> Clock:
    """Read all three clocks, now."""
    busy = None
    first = (_read(CPU_TIMES) or "").partition("\n")[0].split()
    if len(first) > 8 and first[0] == "cpu":
        user, nice, system, _, _, irq, softirq, steal = map(int, first[1:9])
        ticks = user + nice + system + irq + softirq + steal
        busy = ticks / os.sysconf("SC_CLK_TCK")
    return Clock(time.monotonic(), busy, sum(os.times()[:4]))


def other_work(before: Clock, after: Clock) -> float | None:
    """How many cores other processes kept busy between two readings; None if not told."""
    if before.machine is None or after.machine is None or after.wall <= before.wall:
        return None
    others = (after.machine - before.machine) - (after.own - before.own)
    return max(0.0, others / (after.wall - before.wall))


def cautions(before: Mapping[str, Any], others: float | None, threads: int) -> list[str]:
    """Say what of the machine's state makes a measurement doubtful.

    Args:
        before: as `describe` returned it before the measurement.
        others: as `other_work` returned it.
        threads: the most that were measured.

    Returns:
        A line for each reason; none where the machine was left alone.
    """
    found = []
    load, cores = before["load_average"][0], before["logical_cores"]
    if load > IDLE_LOAD:
        found.append(f"the load average was {load:.2f} before the run: something else was running")
    if others is not None and others > IDLE_CORES:
        found.append(f"other processes kept {others:.2f} cores busy during the run")
    if cores is not None and threads > cores:
        found.append(f"{threads} threads had to share {cores} cores")
    return found


def versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Installed version of each distribution package, None for one that is not installed."""
    found: dict[str, str | None] = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def parse_cpu_info(text: str) -> tuple[str | None, list[str]]:
    """Model name and relevant flags from Linux's /proc/cpuinfo; (None, []) from an empty text."""
    entries: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            entries.setdefault(name.strip(), value.strip())  # the first core speaks for all
    model = entries.get("model name")
    if not model and "CPU part" in entries:  # 64-bit Arm gives numbers, not a name
        model = f"Arm implementer {entries.get('CPU implementer')} part {entries['CPU part']}"
    present = set((entries.get("flags") or entries.get("Features") or "").split())
    return model or None, [flag for flag in RELEVANT_FLAGS if flag in present]


def _apple_cpu() -> str | None:
    if sys.platform != "darwin":
        return None
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return None


def _usable_cores() -> int | None:
    # macOS has no affinity; a container's or taskset's limit counts where there is one.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _os_name() -> str:
    with contextlib.suppress(OSError):
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    return platform.platform(terse=True)


def _gpus() -> list[dict[str, Any]]:
    """GPUs that torch sees, where torch is in use anyway: a probe must not pay for its import."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    devices = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return [{"name": device.name, "memory_bytes": device.total_memory} for device in devices]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
