# SPDX-License-Identifier: Apache-2.0
"""Killed at random moments and started again, a build ends with the files of an undisturbed one."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from build_command import command
from safetensors.numpy import load_file

from converters.runtimes.checksums import sha256
from pipeline.artifacts import damage, read_manifest

KILLS = 20
SEED = 20  # of the moments; the time a stage takes differs from run to run anyway


@pytest.mark.long
def test_twenty_kills(
    tiny_teacher: Path,
    squad_file: Path,
    text_file: Path,
    tmp_path: Path,
) -> None:
    """fp32 on a CPU is deterministic, so every tensor and every exported file must be equal.

    Where it is not: with `--hardware.precision auto` a run killed before its timing was written may
    choose the other precision; on GPUs some kernels add in a changing order.
    """
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    began = time.monotonic()
    subprocess.run(
        command(tiny_teacher, squad_file, text_file, undisturbed),
        check=True,
        env=environment,
        capture_output=True,
    )
    whole = time.monotonic() - began

    moments = random.Random(SEED)
    kills, done = 0, False
    with (tmp_path / "log").open("a") as log:
        while not done:
            process = subprocess.Popen(
                command(tiny_teacher, squad_file, text_file, disturbed),
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            limit = moments.uniform(0.1, 0.6) * whole if kills < KILLS else None
            try:
                process.wait(timeout=limit)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                kills += 1
                continue
            assert process.returncode == 0, (tmp_path / "log").read_text()[-2000:]
            assert_same(disturbed, undisturbed)
            done = kills == KILLS
            if not done:
                shutil.rmtree(disturbed)  # from the beginning: kills shall meet work of every kind


def assert_same(disturbed: Path, undisturbed: Path) -> None:
    for folder in ("teacher", "student"):
        mine, theirs = (
            load_file(root / folder / "model.safetensors") for root in (disturbed, undisturbed)
        )
        assert mine.keys() == theirs.keys()
        for name, tensor in mine.items():
            assert (tensor == theirs[name]).all(), f"{folder}: {name} differs"
    for file in (undisturbed / "tflite").iterdir():
        if file.name != "manifest.json":
            assert sha256(file) == sha256(disturbed / "tflite" / file.name), file.name
    for manifest in disturbed.rglob("manifest.json"):
        assert damage(manifest.parent, read_manifest(manifest.parent)["files"]) is None
    assert not list(disturbed.rglob("*.partial")) and not list(disturbed.rglob("*.old"))
