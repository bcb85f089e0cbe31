# SPDX-License-Identifier: Apache-2.0
"""The machine's description: parsed from known texts, JSON, and nothing that identifies it."""

from __future__ import annotations

import getpass
import importlib.metadata
import json
import os
import re
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.measure import machine

X86 = """processor\t: 0
model name\t: Example CPU @ 2.00GHz
flags\t\t: fpu vme sse2 avx2 fma avx512f avx512_vnni amx_int8 syscall

processor\t: 1
model name\t: another core
flags\t\t: fpu
"""
ARM = """processor\t: 0
Features\t: fp asimd aes asimddp
CPU implementer\t: 0x41
CPU part\t: 0xd0c
"""


@pytest.mark.parametrize(
    ("text", "model", "flags"),
    [
        (X86, "Example CPU @ 2.00GHz", ["fma", "avx2", "avx512f", "avx512_vnni", "amx_int8"]),
        (ARM, "Arm implementer 0x41 part 0xd0c", ["asimd", "asimddp"]),
        ("", None, []),
    ],
)
def test_cpu_info(text: str, model: str | None, flags: list[str]) -> None:
    assert machine.parse_cpu_info(text) == (model, flags)


def test_description_is_json_with_plausible_figures() -> None:
    found = machine.describe()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert 1 <= found["logical_cores"] <= (os.cpu_count() or 1)
    assert found["memory_bytes"] > 100_000_000
    assert len(found["load_average"]) == 3
    assert found["python"].endswith(".".join(map(str, sys.version_info[:3])))


def test_description_identifies_nobody() -> None:
    text = json.dumps(machine.describe())
    words = set(re.split(r"[^\w.-]+", text))
    assert not words & {socket.gethostname(), os.uname().nodename, getpass.getuser()}
    assert str(Path.home()) not in text
    assert str(Path.cwd()) not in text


def test_what_the_system_does_not_tell_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "GOVERNOR", tmp_path / "absent")
    assert machine.describe()["governor"] is None
    (tmp_path / "governor").write_text("powersave\n")
    monkeypatch.setattr(machine, "GOVERNOR", tmp_path / "governor")
    assert machine.describe()["governor"] == "powersave"


def test_gpus_are_those_of_an_imported_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert machine.describe()["gpus"] == []
    assert "torch" not in sys.modules
    device = SimpleNamespace(name="Example GPU", total_memory=80_000_000_000)
    cuda = SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 1,
        get_device_properties=lambda index: device,
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert machine.describe()["gpus"] == [{"name": "Example GPU", "memory_bytes": 80_000_000_000}]


def test_versions() -> None:
    assert machine.versions(["numpy", "no-such-package"]) == {
        "numpy": importlib.metadata.version("numpy"),
        "no-such-package": None,
    }


STAT = "cpu  1000 100 500 9000 300 10 20 70 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"


def test_other_work_is_the_machines_less_our_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "CPU_TIMES", tmp_path / "stat")
    assert machine.clock().machine is None
    (tmp_path / "stat").write_text(STAT)
    # user, nice, system, irq, softirq and steal; not idle and waiting for disks
    assert machine.clock().machine == pytest.approx(1700 / os.sysconf("SC_CLK_TCK"))
    before = machine.Clock(wall=10.0, machine=100.0, own=5.0)
    after = machine.Clock(wall=30.0, machine=130.0, own=20.0)
    assert machine.other_work(before, after) == pytest.approx((30 - 15) / 20)
    assert machine.other_work(before, machine.Clock(30.0, None, 20.0)) is None


def test_cautions_name_what_disturbed() -> None:
    quiet = {"load_average": [0.1, 2.0, 2.0], "logical_cores": 2}
    assert machine.cautions(quiet, 0.05, 2) == machine.cautions(quiet, None, 1) == []
    busy = {"load_average": [1.5, 0.0, 0.0], "logical_cores": 2}
    load, others, threads = machine.cautions(busy, 0.7, 4)
    assert "load average was 1.50" in load
    assert "0.70 cores" in others
    assert "4 threads had to share 2 cores" in threads


@pytest.mark.parametrize(
    ("architecture", "flags", "words"),
    [
        ("x86_64", ["avx", "avx2", "fma"], "x86_64 with AVX2"),
        ("x86_64", ["avx2", "avx512f", "avx512_vnni"], "x86_64 with AVX2 and AVX512-VNNI"),
        (
            *("x86_64", ["avx2", "avx_vnni", "avx512_vnni", "amx_tile", "amx_int8"]),
            "x86_64 with AVX2, AVX-VNNI, AVX512-VNNI and AMX-INT8",
        ),
        ("x86_64", ["avx"], "x86_64 without AVX2"),
        ("aarch64", ["asimd"], "aarch64 without dotprod"),
        ("aarch64", ["asimd", "asimddp", "i8mm"], "aarch64 with dotprod and i8mm"),
        ("arm64", [], ""),
        (None, None, ""),
    ],
)
def test_the_class_of_a_processor(architecture: Any, flags: Any, words: str) -> None:
    described = {"architecture": architecture, "flags": flags}
    assert machine.instructions(described) == words


def test_an_old_description_has_no_class() -> None:
    assert machine.instructions({}) == ""
