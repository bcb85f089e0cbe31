# SPDX-License-Identifier: Apache-2.0
"""Our loop of general distillation beside a plain one: the same losses, data and counting."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from repository import ROOT

from benchmarks.loops import turns
from benchmarks.loops.general import Loop, plain_loss
from benchmarks.loops.task import TaskLoop, plain_task_loss
from benchmarks.loops.work import OURS, PLAIN, TaskWork, Work
from benchmarks.measure.training_schema import Turn, validate
from benchmarks.training import features_of, main, samples_of
from pipeline.config import Hardware
from pipeline.models.heads import SPAN_HEAD
from pipeline.models.teacher import find_teacher, load_tokenizer
from pipeline.tasks.finetune import Collate, student_loss
from pipeline.tasks.outputs import TeacherOutputs, record_outputs
from pipeline.tasks.question_answering import TASK
from pipeline.training.batches import attention_mask, pad
from pipeline.training.distil import triple_loss

MakeTeacher = Callable[..., Path]
LENGTH = 96  # of a window of the task


def work(teacher: Path) -> Work:
    rng = np.random.default_rng(0)
    drawn = [np.array([2, *rng.integers(5, 60, 4 + 3 * i), 3], np.int32) for i in range(7)]
    return Work(teacher, drawn, batch=2, threads=1, seed=0)


@pytest.fixture
def task_work(make_teacher: MakeTeacher, squad_file: Path) -> TaskWork:
    source = find_teacher(str(make_teacher(head="qa")), SPAN_HEAD)
    features = features_of(load_tokenizer(source.folder), str(squad_file), LENGTH, 7, 0)
    return TaskWork(source, features, batch=2, length=LENGTH, threads=1, seed=0)


def test_both_loops_minimize_the_same_loss(tiny_teacher: Path) -> None:
    loop = Loop(work(tiny_teacher))
    rows = loop.work.samples[:4]
    labels = pad([np.where(row % 3 == 0, row, -100) for row in rows], -100)
    batch = {"input_ids": pad(rows, 0), "attention_mask": attention_mask(rows), "labels": labels}
    loop.student.eval()
    plain = plain_loss(loop.student, loop.teacher, batch, loop.settings)
    parts = triple_loss(loop.student, loop.teacher, loop.layers, batch, loop.settings)
    # float32 sums in another order
    assert torch.isclose(plain, torch.stack(list(parts.values())).sum(), rtol=1e-5)


def test_both_loops_of_the_task_minimize_the_same_loss(task_work: TaskWork, tmp_path: Path) -> None:
    loop = TaskLoop(task_work)
    features, pad_id = task_work.features, loop.pad_id
    hardware = Hardware(device="cpu", precision="fp32", progress=False)
    record_outputs(TASK, loop.teacher, features, pad_id, (), tmp_path, 2, hardware)
    loop.student.eval()
    collate = Collate(TASK, pad_id, TeacherOutputs(tmp_path))
    batch = collate([(n, (n, features[n])) for n in range(4)])
    parts = student_loss(TASK, loop.student, batch, loop.settings, with_teacher=True)
    rows = loop.padded()[:4]  # at the full length, not at that of the longest of the batch
    names = ("input_ids", "token_type_ids", "attention_mask", "start", "end")
    wide = dict(zip(names, rows, strict=True))
    assert wide["input_ids"].shape == (4, LENGTH) and batch["input_ids"].shape[1] < LENGTH
    plain = plain_task_loss(loop.student, loop.teacher, wide, loop.settings)
    # float32 sums in another order, the teacher's over other paddings
    assert torch.isclose(plain, torch.stack(list(parts.values())).sum(), rtol=1e-4)


def test_every_step_but_the_first_is_counted_with_its_own_tokens(tiny_teacher: Path) -> None:
    loop = Loop(work(tiny_teacher))
    before = {name: tensor.clone() for name, tensor in loop.student.state_dict().items()}
    lengths = [len(each) for each in loop.work.samples]
    plain = loop.plain()
    assert plain["precision"] == "fp32" and [step["tokens"] for step in plain["steps"]] == [
        sum(lengths[2:4]),
        sum(lengths[4:6]),
        lengths[6],
    ]
    assert [step["examples"] for step in plain["steps"]] == [2, 2, 1]
    ours = loop.ours("fp32")
    assert ours["precision"] == "fp32" and len(ours["steps"]) == 3 and ours["recording"] is None
    # Our loop begins with another batch; without it, the others are these.
    assert sum(lengths) - sum(step["tokens"] for step in ours["steps"]) in (
        sum(sorted(lengths)[i : i + 2]) for i in (0, 2, 4)
    )
    assert all(step["seconds"] > 0 for step in (*plain["steps"], *ours["steps"]))
    after = loop.student.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items()), "each anew"


def test_every_step_of_the_task_is_counted(task_work: TaskWork) -> None:
    loop = TaskLoop(task_work)
    before = {name: tensor.clone() for name, tensor in loop.student.state_dict().items()}
    plain, ours, chosen = loop.plain(), loop.ours("fp32"), loop.ours()
    tokens = sum(each.length for each in task_work.features)
    for turn in (plain, ours, chosen):
        assert [step["examples"] for step in turn["steps"]] == [2, 2, 2, 1]
        assert sum(step["tokens"] for step in turn["steps"]) == tokens
        assert all(step["seconds"] > 0 for step in turn["steps"])
    assert plain["recording"] is None and ours["recording"] and chosen["recording"]
    assert ours["recording"]["precision"] == "fp32" and ours["recording"]["seconds"] > 0
    assert loop.chosen["training"] == chosen["precision"]
    after = loop.student.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items()), "each anew"


def turn(*seconds: float, recording: float | None = None) -> Turn:
    """Steps of two examples and 50 tokens."""
    return {
        "precision": "fp32",
        "recording": None if recording is None else {"precision": "fp32", "seconds": recording},
        "steps": [{"examples": 2, "tokens": 50, "seconds": each} for each in seconds],
    }


def test_ratios_are_those_of_rounds() -> None:
    plain = turns.subject(PLAIN, [turn(1.0, 1.0), turn(2.0, 2.0), turn(4.0, 4.0)])
    ours = turns.subject(OURS, [turn(0.5, 0.5), turn(0.5, 0.5), turn(4.0, 4.0)])
    assert (plain["tokens_per_second"], plain["examples_per_second"]) == (25.0, 1.0)
    (found,) = turns.ratios([plain, ours], "general")
    assert found == {
        **{"faster": OURS, "slower": PLAIN, "with_recording": False},
        **{"ratio": 2.0, "low": 1.0, "high": 4.0},
    }


def test_the_time_of_recording_is_spread_over_the_epochs() -> None:
    plain = turns.subject(PLAIN, [turn(4.0, 4.0)], 3)
    ours = turns.subject(OURS, [turn(0.5, 0.5, recording=3.0)], 3)
    assert plain["with_recording"] is None and plain["examples_per_second"] == 0.5
    # 4 windows in a second, and in a second more that three epochs share
    assert (ours["examples_per_second"], ours["with_recording"]) == (4.0, 2.0)
    spread, alone = turns.ratios([plain, ours], "task", 3)
    assert (spread["with_recording"], spread["ratio"]) == (True, 4.0)
    assert (alone["with_recording"], alone["ratio"]) == (False, 8.0)


def test_samples_are_paragraphs_or_filled_up(tokenizer: Any, text_file: Path) -> None:
    alone = samples_of(tokenizer, [str(text_file)], 20, False, 9, 1)
    packed = samples_of(tokenizer, [str(text_file)], 20, True, 9, 1)
    assert len(alone) == len(packed) == 9 and {len(each) for each in packed} == {20}
    assert all(len(each) <= 20 for each in alone) and len({len(each) for each in alone}) >= 1
    again = samples_of(tokenizer, [str(text_file)], 20, False, 9, 1)
    assert [each.tolist() for each in again] == [each.tolist() for each in alone]


class Here:
    """An executor without a process, as far as the benchmark needs one."""

    def __init__(self, _: int, __: Any, begin: Any, arguments: Any) -> None:
        self.loop = turns.opened(*arguments)

    def submit(self, run: Any, name: str) -> Future[Any]:
        turns._loops[:] = [self.loop]
        future: Future[Any] = Future()
        future.set_result(run(name))
        return future

    def shutdown(self) -> None:
        """There is none."""


def test_the_command_writes_a_checked_document(
    tiny_teacher: Path,
    text_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(turns, "ProcessPoolExecutor", Here)
    out = tmp_path / "training.json"
    flags = ["--teacher", str(tiny_teacher), "--text", str(text_file), "--length", "16"]
    flags += ["--batch-size", "2", "--steps", "2", "--rounds", "2", "--threads", "1"]
    assert main([*flags, "--out", str(out)]) == 0
    found = json.loads(out.read_text("utf-8"))
    validate(found)
    with pytest.raises(ValueError, match="threads: got 'two', must be an integer"):
        validate({**found, "threads": "two"})
    assert str(tmp_path) not in out.read_text("utf-8"), "no folder of this machine"
    assert [len(one["turns"]) for one in found["subjects"]][:2] == [2, 2]
    assert all(len(each["steps"]) == 2 for one in found["subjects"] for each in one["turns"])
    assert len(found["tokens"]) == 6 and "2 rounds are few" in found["warnings"][-1]
    printed = capsys.readouterr().out
    assert "ours in fp32" in printed and "times faster than the plain loop" in printed
    assert (found["instructions"] or "features not listed") in printed


def test_the_command_times_the_task(
    make_teacher: MakeTeacher,
    squad_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(turns, "ProcessPoolExecutor", Here)
    out = tmp_path / "training.json"
    flags = ["--step", "task", "--teacher", str(make_teacher(head="qa"))]
    flags += ["--train-file", str(squad_file), "--length", "96", "--epochs", "2"]
    flags += ["--batch-size", "2", "--steps", "4", "--rounds", "1", "--threads", "1"]
    assert main([*flags, "--out", str(out)]) == 0
    found = json.loads(out.read_text("utf-8"))
    validate(found)
    assert (found["step"], found["text"], found["epochs"]) == ("task", ["squad.json"], 2)
    assert str(tmp_path) not in out.read_text("utf-8"), "no folder of this machine"
    plain, ours = found["subjects"][:2]
    assert len(found["tokens"]) == 8 and plain["with_recording"] is None
    assert ours["with_recording"] < ours["examples_per_second"]
    assert [one["with_recording"] for one in found["ratios"]][:2] == [True, False]
    printed = capsys.readouterr().out
    assert "windows a second" in printed and "spread over 2 epochs" in printed


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--length", "100000"], "--length 100000: the teacher takes"),
        (["--out", "."], "--out . cannot be written: name a file"),
        (["--steps", "5000"], "add text"),
        (["--train-file", "squad.json"], "--train-file belongs to --step task"),
        (["--step", "task", "--text", "a.txt"], "--text belongs to --step general"),
        (["--step", "task", "--length", "60"], "at least 68 are needed"),
        (["--step", "task", "--steps", "5000"], "name more questions"),
    ],
    ids=["length", "folder", "text", "questions", "no-text", "room", "windows"],
)
def test_mistakes_are_refused_in_a_line(
    flags: list[str],
    message: str,
    tiny_teacher: Path,
    text_file: Path,
    squad_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = ["--text", str(text_file)]
    if "task" in flags:
        data = [] if "--text" in flags else ["--train-file", str(squad_file)]
    assert main(["--teacher", str(tiny_teacher), *data, *flags]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_process_hides_the_lines_of_pytorch_before_it_imports_that(task_work: TaskWork) -> None:
    """What a process is given to begin with must not import PyTorch when it is unpickled."""
    given = pickle.dumps((turns._begin, (task_work,)))
    code = (
        "import benchmarks.training, pickle, sys; pickle.loads(sys.stdin.buffer.read()); "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], input=given, cwd=ROOT).returncode == 0


@pytest.mark.long
def test_loops_take_turns_in_processes_of_their_own(
    tiny_teacher: Path, task_work: TaskWork, capfd: pytest.CaptureFixture[str]
) -> None:
    for step in (work(tiny_teacher), task_work):
        lines: list[str] = []
        plain, ours, *_ = turns.measure(step, 1, 3, lines.append)
        assert (plain["name"], ours["name"]) == (PLAIN, OURS) and lines == ["round 1 of 1"]
        assert len(plain["turns"]) == len(ours["turns"]) == 1 and not turns._loops
    assert "pytree" not in capfd.readouterr().err
