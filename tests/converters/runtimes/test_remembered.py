# SPDX-License-Identifier: Apache-2.0
"""Digests of large files are remembered as long as nothing of the file changed."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from converters.runtimes import remembered
from converters.runtimes.checksums import sha256


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is large enough to be remembered, and not too new."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(remembered, "SMALLEST_BYTES", 10)
    monkeypatch.setattr(remembered, "SETTLED_SECONDS", -1.0)
    path = tmp_path / "a.onnx"
    path.write_bytes(b"0123456789 and more")
    return path


def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read from now on."""
    found: list[Path] = []
    monkeypatch.setattr(remembered, "read", lambda path: (found.append(path), sha256(path))[1])
    return found


def test_a_file_is_read_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = reads(monkeypatch)
    assert remembered.sha256(file) == remembered.sha256(file) == sha256(file)
    assert read == [file]


def test_a_change_is_seen_also_where_its_time_is_set_back(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, first = file.stat(), remembered.sha256(file)
    time.sleep(0.02)  # the system counts time in steps of up to 10 ms
    with file.open("r+b") as handle:
        handle.write(b"X")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert remembered.sha256(file) == sha256(file) != first


def test_a_new_file_is_not_remembered(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "SETTLED_SECONDS", 60.0)
    read = reads(monkeypatch)
    remembered.sha256(file)
    remembered.sha256(file)
    assert read == [file, file] and not remembered.memory().exists()


def test_a_clock_that_was_set_back_lets_nothing_be_remembered(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file from the future could change again within the time that it has."""
    monkeypatch.setattr(remembered, "SETTLED_SECONDS", 3.0)
    read = reads(monkeypatch)
    now = time.time()
    for clock in (now - 86_400, now - 86_300):
        monkeypatch.setattr(time, "time", lambda clock=clock: clock)
        assert remembered.sha256(file) == sha256(file)
    assert read == [file, file] and not remembered.memory().exists()
    monkeypatch.setattr(time, "time", lambda: now + 60)
    assert remembered.sha256(file) == remembered.sha256(file) == sha256(file)
    assert read == [file] * 3
    monkeypatch.setattr(time, "time", lambda: now - 86_400)  # set back after it was remembered
    file.write_bytes(b"X" * file.stat().st_size)
    assert remembered.sha256(file) == sha256(file)


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"a": 1}', "\xff", '{"a": {"mark": 1}}'], ids=repr
)
def test_a_damaged_memory_is_forgotten(content: str, file: Path) -> None:
    remembered.memory().parent.mkdir(parents=True)
    remembered.memory().write_bytes(content.encode("latin-1"))
    assert remembered.sha256(file) == sha256(file)
    known = json.loads(remembered.memory().read_text())
    assert [entry["sha256"] for entry in known.values()] == [sha256(file)]


def test_no_home_is_no_mistake(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # no folder can be made there
    assert remembered.sha256(file) == remembered.sha256(file) == sha256(file)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert remembered.sha256(file) == sha256(file)


def test_the_memory_holds_the_latest_files(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "MOST_FILES", 3)
    for number in range(5):
        other = tmp_path / f"{number}.onnx"
        other.write_bytes(b"0123456789" * (number + 1))
        remembered.sha256(other)
    known = json.loads(remembered.memory().read_text())
    assert [Path(name).name for name in known] == ["2.onnx", "3.onnx", "4.onnx"]
