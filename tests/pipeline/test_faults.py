# SPDX-License-Identifier: Apache-2.0
"""A machine that gives little: few open files, no home that can be written, a clock set back."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from repository import CONTRACT

FILE = CONTRACT / "tiny" / "student-int8-per-tensor.tflite"
ASK = [sys.executable, "-m", "pipeline.ask", str(FILE), "who?", "--context", "anna came.", "--json"]


def ask(limits: str = "true", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"{limits}; exec {shlex.join(ASK)}"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_an_answer_needs_no_home_no_cache_and_few_files(tmp_path: Path) -> None:
    nothing = str(tmp_path / "file" / "below")
    (tmp_path / "file").touch()  # no folder can be made below it, by root either
    done = ask(
        "ulimit -n 32", HOME=nothing, XDG_CACHE_HOME=nothing, HF_HOME=nothing, MPLCONFIGDIR=nothing
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["text"] is not None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("shape", ["> /dev/full", "| head -c 1 > /dev/null"], ids=["full", "head"])
def test_output_that_goes_nowhere_is_no_traceback(shape: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {shlex.join(ASK)} {shape}"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    lines = [line for line in done.stderr.splitlines() if not line.startswith("INFO: ")]  # LiteRT's
    if shape.startswith(">"):
        said = "error: cannot write what was to be printed: No space left on device"
        assert (done.returncode, lines) == (2, [said])
    else:
        assert (done.returncode, lines) == (0, [])
