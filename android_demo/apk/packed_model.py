# SPDX-License-Identifier: Apache-2.0
"""The model that goes into an APK: from a build, which keeps its files and its figures."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from commands import ApkError, run

from pipeline.lock import LOCK

ROOT = Path(__file__).resolve().parents[2]

# What the APK carries, and the precision to add to a build where it computes no file right.
TENSORFLOW_LITE = (2, 16, 1)
SAFE_PRECISION = "int8-per-tensor"

# Flags of a build that its repetition shall not have, or gives values of its own.
ONCE = ("--force", "--out", "--android-assets", "--android-precision")


def last_build(folder: Path) -> Path:
    """The build folder whose report is the newest."""
    reports = sorted(folder.glob("*/report.json"), key=lambda path: path.stat().st_mtime)
    if not reports:
        raise ApkError(f"no build in {folder}: run make model first")
    return reports[-1].parent


def put_model(built: Path, assets: Path, out: Path) -> None:
    """Let the build write a file that the APK can run into a folder of assets.

    The build keeps its files and figures. If it has no such file, a copy of it makes one more,
    without a benchmark.

    Args:
        built: the folder of the build.
        assets: the folder to fill.
        out: where the copy lies.

    Raises:
        ApkError: it has no .tflite files, or cannot be made again.
    """
    print(f"model   {built}", flush=True)
    try:
        record = (built / "report.json").read_bytes()
        report = json.loads(record)
        files = json.loads((built / "tflite" / "model.json").read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError) as error:
        raise ApkError(f"{built} has no .tflite files: build it with --target tflite") from error
    arguments = build_arguments(report, files)
    if not any(map(runs_here, files.values())):
        print(
            f"        has no file for the APK's TensorFlow Lite {version(TENSORFLOW_LITE)}; a copy "
            f"of the build gets {SAFE_PRECISION}, in some minutes the first time",
            flush=True,
        )
        built = copy_of(built, out / f"build-{hashlib.sha256(record).hexdigest()[:12]}")
        arguments.append("--no-benchmark")
    run(
        [
            *(sys.executable, "-m", "pipeline.build", *arguments),
            *("--out", built, "--android-assets", assets),
        ],
        "the build",
        cwd=ROOT,
        shown=True,
    )


def copy_of(built: Path, copy: Path) -> Path:
    """A copy of a build, in place of those of other builds; one that is there stays.

    Its files are second names of the build's files, where the file system allows that: builds
    replace files and never write into one, except the lock.
    """
    for other in copy.parent.glob("build-*"):
        if other != copy:
            shutil.rmtree(other)
    if not copy.is_dir():
        with tempfile.TemporaryDirectory(dir=copy.parent, prefix=".build-") as folder:
            aside = Path(folder) / "copy"
            shutil.copytree(
                built,
                aside,
                symlinks=True,
                ignore=shutil.ignore_patterns(LOCK),
                copy_function=second_name,
            )
            aside.rename(copy)
    return copy


def second_name(old: str, new: str) -> None:
    """A hard link, or a copy on file systems without."""
    try:
        os.link(old, new)
    except OSError:
        shutil.copy2(old, new)


def version(numbers: Sequence[int]) -> str:
    """(2, 16, 1) as 2.16.1."""
    return ".".join(map(str, numbers))


def build_arguments(report: Mapping[str, Any], files: Mapping[str, Any]) -> list[str]:
    """The arguments that a build was made with, and the precision to put into the app.

    Args:
        report: the build's `report.json`.
        files: of its `model.json`, by precision.
    """
    words = iter(shlex.split(report["command"])[3:])  # after python -m pipeline.build
    arguments: list[str] = []
    skipped = False
    for word in words:
        if word.startswith("--"):
            skipped = word.partition("=")[0] in ONCE
        if not skipped:
            arguments.append(word)
    precision = next((name for name, file in files.items() if runs_here(file)), None)
    if precision is None:
        precision = SAFE_PRECISION
        arguments += ["--precision", *report["config"]["export"]["precision"], precision]
    return [*arguments, "--android-precision", precision]


def runs_here(file: Mapping[str, Any]) -> bool:
    """Whether the runtime in the APK computes a file of `model.json` right."""
    oldest = file["min_runtime"].get("TensorFlow Lite")
    return bool(oldest) and tuple(map(int, oldest.split("."))) <= TENSORFLOW_LITE
