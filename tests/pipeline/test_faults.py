# SPDX-License-Identifier: Apache-2.0
"""A machine that gives little: few open files, no home that can be written, a clock set back."""

from __future__ import annotations

import json
import os
import shlex
import shutil
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


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("ask", [str(FILE), "who?", "--context", "anna came."]),
        pytest.param("build", ["--preset", "smoke", "--dry-run"], marks=pytest.mark.long),
    ],
    ids=["ask", "build"],
)
def test_streams_that_are_closed_are_no_mistake(
    module: str, words: list[str], tmp_path: Path
) -> None:
    command = shlex.join([sys.executable, "-m", f"pipeline.{module}", *words])
    for shape in ("<&- >&- 2>&-", "2> errors | head -c 1 > /dev/null"):
        script = f"set -o pipefail; {command} {shape}"
        done = subprocess.run(["bash", "-c", script], cwd=tmp_path, timeout=120, check=False)
        assert done.returncode == 0, shape
    assert "Traceback" not in (tmp_path / "errors").read_text()


def test_a_folder_whose_name_is_no_text_is_as_good_as_any(tmp_path: Path) -> None:
    """In the current folder's name; as an argument, such a name is refused in a line."""
    folder = os.fsencode(tmp_path) + b"/\xff\xfe"
    shutil.copytree(os.fsencode(FILE.parent), folder)
    for name, code in (("./" + FILE.name, 0), (os.fsdecode(folder) + "/" + FILE.name, 2)):
        done = subprocess.run(
            [*ASK[:3], name, *ASK[4:]], cwd=folder, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == code, done.stderr
    assert done.stderr.startswith("error: the argument") and done.stderr.count("\n") == 1
