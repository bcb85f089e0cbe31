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

import pytest

from benchmarks import machine

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
