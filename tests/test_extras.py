# SPDX-License-Identifier: Apache-2.0
"""Each target's extra alone: an environment with no other builds that target, as its users have it.

These install from the package registry, so they are long and need one that can be reached; the
releases are those of requirements.lock.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import MakeTeacher
from repository import ROOT

MISSING = {
    "tflite": ("coreml", "onnx"),
    "coreml": ("tflite", "onnx"),
    "onnx": ("tflite", "coreml"),
}


@pytest.fixture(scope="module")
def constraints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pinned releases without their checksums, which no wheel of this project can have."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^[a-z0-9].*?(?= \\$|$)", lock, re.MULTILINE)
    path = tmp_path_factory.mktemp("lock") / "constraints.txt"
    path.write_text("\n".join(pins) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages, since building a wheel writes into its folder."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("pipeline", "converters", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.mark.long
@pytest.mark.parametrize("target", MISSING)
def test_an_extra_alone_builds_its_target(
    target: str, source: Path, constraints: Path, make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    python = tmp_path / "environment" / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    if not shutil.which("uv") and subprocess.run([*uv, "--version"], check=False).returncode:
        pytest.skip("uv is not installed: `make .venv/ready` brings it")
    subprocess.run([*uv, "venv", "--quiet", str(python.parents[1])], check=True)
    install = [*uv, "pip", "install", "--quiet", "--python", str(python)]
    made = subprocess.run(
        [*install, "--constraint", str(constraints), f"{source}[{target}]"],
        check=False,
        capture_output=True,
        text=True,
    )
    if "error sending request" in made.stderr or "dns error" in made.stderr:
        pytest.skip("no package registry can be reached")
    assert made.returncode == 0, made.stderr
    flags = ["--preset", "smoke", "--student", str(make_teacher(layers=2, head="qa"))]
    flags += ["--max-length", "64", "--stride", "8", "--max-query", "16", "--no-benchmark"]
    out = tmp_path / "out"
    command = [str(python), "-m", "pipeline.build", *flags, "--target", target, "--out", str(out)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    built = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    # A random model's int8 file may fail a gate (1); what must not happen is a missing package (2).
    assert built.returncode in (0, 1), built.stdout + built.stderr
    assert list((out / target).glob("student-int8*")) and (out / "report.html").is_file()
    for other in MISSING[target]:
        refused = subprocess.run(
            [*command[:-3], other, "--out", str(tmp_path / other)],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
        )
        assert refused.returncode == 2 and f"--target {other} needs" in refused.stderr
        assert not (tmp_path / other / "student").exists(), "refused before any work"
