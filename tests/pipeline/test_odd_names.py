# SPDX-License-Identifier: Apache-2.0
"""Folders and files with odd names: a build with them ends well, and no name is obeyed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from build_command import command

# Markup of rich, quotes, what a shell would run, a character beyond ASCII, a line break, an escape
# of terminals, HTML.
NAME = "a [red]b \"c' $(touch pwn) `touch pwn` ü東 \n [red] \x1b[31m <b>&amp;"


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        cwd=folder,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.mark.long
def test_a_build_among_odd_names(
    tiny_teacher: Path, squad_file: Path, text_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / NAME
    folder.mkdir()
    teacher = Path(shutil.copytree(tiny_teacher, folder / f"teacher {NAME}"))
    squad, text = (
        Path(shutil.copy(path, folder / f"{NAME}{path.suffix}")) for path in (squad_file, text_file)
    )
    out = tmp_path / f"out {NAME}"
    arguments = command(teacher, squad, text, out)
    short = ["--teacher.optimization.epochs", "1", "--distil.optimization.epochs", "1"]
    short += ["--finetune.optimization.epochs", "1", "--target", "all"]
    done = run([*arguments, *short], tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Traceback" not in done.stderr and "\x1b[31m" not in done.stdout + done.stderr
    for page in (out / "report.html", out / "hub" / "index.html"):
        assert "<b>&amp;" not in page.read_text("utf-8").replace("&lt;b&gt;&amp;amp;", "")
    for file in ("tflite/student-int8.tflite", "onnx/student-int8.onnx"):
        asking = [sys.executable, "-m", "pipeline.ask", str(out / file), "who?"]
        said = run([*asking, "--context", "Anna came to Rome. \x1b[31m"], tmp_path)
        assert said.returncode == 0 and "\x1b" not in said.stdout, said.stderr
    assert not list(tmp_path.rglob("pwn"))


def test_no_command_prints_the_controls_of_a_name(tmp_path: Path) -> None:
    from benchmark_fixtures import benchmark
    from report_fixtures import of_preset

    measured, report = tmp_path / f"{NAME}.json", tmp_path / "of" / NAME / "report.json"
    report.parent.mkdir(parents=True)
    measured.write_text(json.dumps(benchmark()), "utf-8")
    report.write_text(json.dumps(of_preset()), "utf-8")
    runs = ["--dry-run", "--seeds", "1", "--out", str(tmp_path / f"out {NAME}")]
    for words in (
        ["benchmarks.page", str(measured)],
        ["benchmarks.compare", str(measured), str(measured)],
        ["pipeline.report.render", str(report)],
        ["pipeline.ablation", *runs],
    ):
        done = run([sys.executable, "-m", *words], Path(__file__).parents[2])
        assert done.returncode == 0, done.stderr
        assert "\x1b[31m" not in done.stdout + done.stderr, words
    assert not list(tmp_path.rglob("pwn"))


@pytest.mark.parametrize("module", ["ask", "predict"])
def test_files_with_odd_names_are_refused_in_a_line(module: str, tmp_path: Path) -> None:
    odd = tmp_path / f"{NAME}.tflite"
    odd.write_bytes(b"nothing")
    words = ["who?", "--context", "anna came."] if module == "ask" else ["a text"]
    done = run([sys.executable, "-m", f"pipeline.{module}", str(odd), *words], tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ") and "\x1b" not in done.stderr
