# SPDX-License-Identifier: Apache-2.0
"""Killed at random moments and started again, a build ends with the files of an undisturbed one."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from build_command import command
from safetensors.numpy import load_file

from converters.runtimes.checksums import sha256
from pipeline.artifacts import damage, read_manifest

SEED = 20  # of the moments; the time a stage takes differs from run to run anyway

# How many times each signal ends a build, and the exit codes that it may have then: a signal that
# arrives while Python starts has its own end, and a build may end before it arrives.
MANY = {signal.SIGKILL: 60, signal.SIGTERM: 20, signal.SIGINT: 20}
FEW = {signal.SIGKILL: 8, signal.SIGTERM: 2, signal.SIGINT: 2}
CODES = {
    signal.SIGKILL: {-signal.SIGKILL},
    signal.SIGTERM: {143, -signal.SIGTERM, 0},
    signal.SIGINT: {130, 1, -signal.SIGINT, 0},
}
# The longest that a build may take to end after SIGTERM or SIGINT, in seconds.
PATIENCE = 60.0


@pytest.mark.long
@pytest.mark.parametrize("signals", [FEW, MANY], ids=["12", "100"])
def test_kills_at_random_moments(
    signals: dict[signal.Signals, int],
    tiny_teacher: Path,
    squad_file: Path,
    text_file: Path,
    tmp_path: Path,
) -> None:
    """fp32 on a CPU is deterministic, so every tensor and every exported file must be equal.

    Where it is not: with `--hardware.precision auto` a run killed before its timing was written may
    choose the other precision; on GPUs some kernels add in a changing order.
    """
    # A shell that runs the tests in the background has SIGINT ignored, and so would the builds.
    signal.signal(signal.SIGINT, signal.default_int_handler)
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
    plan = [number for number, count in signals.items() for _ in range(count)]
    moments.shuffle(plan)
    ends: Counter[tuple[str, int]] = Counter()
    done = False
    with (tmp_path / "log").open("a") as log:
        while not done:
            process = subprocess.Popen(
                command(tiny_teacher, squad_file, text_file, disturbed),
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            limit = moments.uniform(0.1, 0.6) * whole if plan else None
            try:
                process.wait(timeout=limit)
            except subprocess.TimeoutExpired:
                number = plan.pop()
                if number == signal.SIGKILL:
                    os.killpg(process.pid, number)
                else:
                    process.send_signal(number)
                code = process.wait(timeout=PATIENCE)
                ends[number.name, code] += 1
                assert code in CODES[number], (tmp_path / "log").read_text()[-2000:]
                continue
            assert process.returncode == 0, (tmp_path / "log").read_text()[-2000:]
            assert_same(disturbed, undisturbed)
            done = not plan
            if not done:
                shutil.rmtree(disturbed)  # from the beginning: kills shall meet work of every kind
    print(dict(ends))


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
