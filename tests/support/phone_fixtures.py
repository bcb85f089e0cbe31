# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the phone's tests: a phone in memory, files for it, and the command against it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from adb_server import PACKAGE, FakePhone, serving
from app_document import app_lines
from phone_files import ELF, Main, tiny_file

from benchmarks import android
from benchmarks.measure import schema


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tiny_file(tmp_path / "student-int8.tflite")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "benchmark_model"
    path.write_bytes(ELF)
    return path


@pytest.fixture
def phone() -> FakePhone:
    return FakePhone()


@pytest.fixture
def main(
    tmp_path: Path,
    file: Path,
    program: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Main:
    """Runs the command against phones: exit code, document if written, everything printed."""
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    monkeypatch.setattr("benchmarks.device.app_protocol.LOOK_SECONDS", 0.1)
    # Each of a hundred connections would wait for 10 ms after it was closed.
    monkeypatch.setattr("adbutils._adb.time", SimpleNamespace(sleep=lambda _: None))

    def call(*phones: FakePhone, more: str = "", quick: bool = True, given: bool = True) -> Any:
        out = tmp_path / "out" / "phone.json"
        out.unlink(missing_ok=True)
        with serving(*phones) as server:
            monkeypatch.setenv("ANDROID_ADB_SERVER_HOST", "127.0.0.1")
            monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.server_address[1]))
            arguments = [str(file), "--benchmark-model", str(program)] if given else []
            arguments += (
                ["--lengths", "64", "--threads", "1", "--delegates", "cpu"] if quick else []
            )
            code = android.main([*arguments, *more.split(), "--out", str(out)])
        document = json.loads(out.read_text("utf-8")) if out.exists() else None
        if document is not None:
            schema.validate(document)
        for one in phones:
            assert one.unknown == []
        return code, document, "".join(capsys.readouterr())

    return call


@pytest.fixture
def with_app(phone: FakePhone) -> FakePhone:
    phone.packages.add(PACKAGE)
    phone.app = app_lines
    return phone
