# SPDX-License-Identifier: Apache-2.0
"""A file is opened in a process of its own first: each time, or once if its checksum is right."""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path

import pytest
from export_fixtures import exported_onnx
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
        trial.attempt(FILE, timeout=1 if "sleep" in code else 60)
    assert "\n" not in str(caught.value)


def test_ask_tries_a_whole_file_once_and_any_other_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever changed a file may have changed its checksum too."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = Path(shutil.copytree(FILE.parent, tmp_path / "files"))
    runs, crash = ([sys.executable, "-c", code] for code in ("import sys", "import os; os.abort()"))
    asking = [str(folder / FILE.name), "who?", "--context", "anna came."]
    monkeypatch.setattr(trial, "module_command", lambda _: crash)
    assert ask.main(asking) == 2
    assert "crashes its runtime (SIGABRT)" in capsys.readouterr().err
    monkeypatch.setattr(trial, "module_command", lambda _: runs)
    assert ask.main(asking) == 0
    monkeypatch.setattr(trial, "module_command", lambda _: crash)
    assert ask.main(asking) == 0  # it is remembered,
    monkeypatch.setattr(trial.metadata, "version", lambda _: "another")
    assert ask.main(asking) == 2  # for this version of the runtime
    capsys.readouterr()
    assert ask.main([*asking, "--no-verify"]) == 2
    assert "crashes its runtime (SIGABRT)" in capsys.readouterr().err


def test_a_format_without_a_description_is_tried_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    crash = [sys.executable, "-c", "import os; os.abort()"]
    monkeypatch.setattr(trial, "module_command", lambda _: crash)
    (tmp_path / "a.pte").write_bytes(b"damaged")
    assert ask.main([str(tmp_path / "a.pte"), "who?", "--context", "anna came."]) == 2
    assert "crashes its runtime (SIGABRT)" in capsys.readouterr().err


def test_weights_outside_of_a_file_have_no_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnx

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(trial, "attempt", lambda _: None)
    path = tmp_path / "a.onnx"
    model = onnx.load(exported_onnx("distilbert")["int8"])
    onnx.save(model, path)
    trial.once(path)
    onnx.save(model, path, save_as_external_data=True, size_threshold=0)
    with pytest.raises(ConversionError, match="keeps weights in other files, which no checksum"):
        trial.once(path)
