# SPDX-License-Identifier: Apache-2.0
"""A build on two processes, as `torchrun` starts them, makes what one process makes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import training_stages
from build_command import command
from conftest import MakeTeacher
from repository import ROOT

from pipeline import ranks


def test_one_process_agrees_with_itself() -> None:
    assert ranks.FIRST and ranks.agree("value") == "value"
    ranks.wait()


@pytest.mark.long
def test_two_processes_train_every_stage_as_one_does(
    make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    """Also where one process began a stage and two go on with it, and with 23 examples in fives."""
    teacher = make_teacher(layers=3, head="mlm")
    one = training_stages.train(teacher, tmp_path / "one")
    early = training_stages.cut_off(teacher, tmp_path / "resumed")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    folders = [str(tmp_path / name) for name in ("two", "resumed")]
    run = subprocess.run(
        [sys.executable, *launcher, training_stages.__file__, str(teacher), *folders],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    for folder in folders:
        for stage, state in torch.load(Path(folder) / "states.pt").items():
            state_file = json.loads(
                (
                    max((Path(folder) / stage / "scratch").glob("checkpoint-*"))
                    / "trainer_state.json"
                ).read_text()
            )
            last = {"streamed": 20, "chosen": 4}  # which ends after one score without a gain
            assert state_file["global_step"] == last.get(stage, 5)
            # Rounding alone: float32 sums in another order, relative to the size of each tensor.
            for name, tensor in one[stage].items():
                error = float((state[name] - tensor).norm() / tensor.norm().clamp_min(0.1))
                assert error < 1e-6, f"{folder} {stage} {name}: {error:.1e}"
            if stage == "chosen":  # its best weights come before the cut
                continue
            wrong, moved = (
                sum(float((other[name] - one[stage][name]).square().sum()) for name in state)
                for other in (state, early[stage])
            )
            assert moved > 0 and wrong < 1e-6 * moved, f"{folder} {stage}: {(wrong / moved) ** 0.5}"


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


@pytest.mark.parametrize("value", ["abc", "-1", "1e5", "\u0663"])
def test_a_rank_that_no_launcher_sets_is_one_line(
    value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", value)
    with pytest.raises(SystemExit) as caught:
        ranks._number("RANK", 0)
    said = capsys.readouterr().err
    assert caught.value.code == 2 and said.count("\n") == 1 and "no launcher sets" in said
    monkeypatch.setenv("RANK", " ")
    assert ranks._number("RANK", 3) == 3
