# SPDX-License-Identifier: Apache-2.0
"""A file that nothing vouches for is opened in a process of its own first."""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path

import pytest
from repository import CONTRACT

from converters import ConversionError
from converters.runtimes import trial
from pipeline import ask

FILE = CONTRACT / "tiny" / "student-int8-per-tensor.tflite"


def test_a_whole_file_runs_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    trial.attempt(FILE)
    trial.attempt(tmp_path / "other.onnx")  # another format, whose runtime raises
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(FILE.read_bytes()[:20_000])
    with pytest.raises(ConversionError, match="LiteRT cannot open") as caught:
        trial.attempt(broken)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})", r"\(SIGSEGV\): it is damaged"),
        ("import time; time.sleep(60)", "did not run within 1 s"),
        ("import sys; sys.exit('error: LiteRT cannot')", "LiteRT cannot"),
    ],
    ids=["signal", "hang", "refusal"],
)
def test_what_becomes_of_the_process_is_one_line(
    code: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "module_command", lambda _: [sys.executable, "-c", code])
    with pytest.raises(ConversionError, match=said) as caught:
        trial.attempt(FILE, timeout=1)
    assert "\n" not in str(caught.value)


def test_ask_tries_what_was_changed_on_purpose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(FILE.parent, tmp_path / "files"))
    crash = [sys.executable, "-c", "import os; os.abort()"]
    monkeypatch.setattr(trial, "module_command", lambda _: crash)
    asking = [str(folder / FILE.name), "who?", "--context", "anna came."]
    assert ask.main(asking) == 0  # its checksum is right
    capsys.readouterr()
    assert ask.main([*asking, "--no-verify"]) == 2
    assert "crashes its runtime (SIGABRT)" in capsys.readouterr().err
