# SPDX-License-Identifier: Apache-2.0
"""A build on two processes, as `torchrun` starts them, makes what one process makes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from build_command import command

from pipeline import ranks


def test_one_process_agrees_with_itself() -> None:
    assert ranks.FIRST and ranks.agree("value") == "value"
    ranks.wait()


@pytest.mark.long
def test_two_ranks_make_one_build(
    tiny_teacher: Path, squad_file: Path, text_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    python, *rest = command(tiny_teacher, squad_file, text_file, out)
    launcher = [python, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    run = subprocess.run(
        [*launcher, *rest, "--hardware.device", "cpu"],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    report = json.loads((out / "report.json").read_text())
    assert all(f["gate"]["passed"] for f in report["files"])
    again = subprocess.run([sys.executable, *rest], capture_output=True, text=True, timeout=300)
    assert again.returncode == 0 and "made again" not in again.stdout
