# SPDX-License-Identifier: Apache-2.0
"""Our loop of general distillation beside a plain one: the same losses, data and counting."""

from __future__ import annotations

import json
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import training
from benchmarks.loops import Loop, Work, plain_loss
from benchmarks.measure.training_schema import validate
from benchmarks.training import OURS, PLAIN, main, ratios, samples_of
from pipeline.training.batches import attention_mask, pad
from pipeline.training.distil import triple_loss


def work(teacher: Path) -> Work:
    rng = np.random.default_rng(0)
    drawn = [np.array([2, *rng.integers(5, 60, 4 + 3 * i), 3], np.int32) for i in range(7)]
    return Work(teacher, drawn, batch=2, threads=1, seed=0)


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


def test_every_step_but_the_first_is_counted_with_its_own_tokens(tiny_teacher: Path) -> None:
    loop = Loop(work(tiny_teacher))
    before = {name: tensor.clone() for name, tensor in loop.student.state_dict().items()}
    lengths = [len(each) for each in loop.work.samples]
    precision, plain = loop.plain()
    assert precision == "fp32" and [step["tokens"] for step in plain] == [
        sum(lengths[2:4]),
        sum(lengths[4:6]),
        lengths[6],
    ]
    precision, ours = loop.ours("fp32")
    assert precision == "fp32" and len(ours) == 3
    # Our loop begins with another batch; without it, the others are these.
    assert sum(lengths) - sum(step["tokens"] for step in ours) in (
        sum(sorted(lengths)[i : i + 2]) for i in (0, 2, 4)
    )
    assert all(step["seconds"] > 0 for step in (*plain, *ours))
    after = loop.student.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items()), "each anew"


def test_ratios_are_those_of_rounds() -> None:
    def subject(name: str, *seconds: float) -> Any:
        rounds = [[{"tokens": 60, "seconds": s}, {"tokens": 40, "seconds": s}] for s in seconds]
        return {"name": name, "rounds": rounds}

    (found,) = ratios([subject(PLAIN, 1.0, 2.0, 4.0), subject(OURS, 0.5, 0.5, 4.0)])
    assert found == {"faster": OURS, "slower": PLAIN, "ratio": 2.0, "low": 1.0, "high": 4.0}


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
        self.loop = Loop(*arguments)

    def submit(self, run: Any, name: str) -> Future[Any]:
        training._loops[:] = [self.loop]
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
    monkeypatch.setattr(training, "ProcessPoolExecutor", Here)
    out = tmp_path / "training.json"
    flags = ["--teacher", str(tiny_teacher), "--text", str(text_file), "--length", "16"]
    flags += ["--batch-size", "2", "--steps", "2", "--rounds", "2", "--threads", "1"]
    assert main([*flags, "--out", str(out)]) == 0
    found = json.loads(out.read_text("utf-8"))
    validate(found)
    with pytest.raises(ValueError, match="threads: got 'two', must be an integer"):
        validate({**found, "threads": "two"})
    assert str(tmp_path) not in out.read_text("utf-8"), "no folder of this machine"
    assert [len(one["rounds"]) for one in found["subjects"]][:2] == [2, 2]
    assert all(len(each) == 2 for one in found["subjects"] for each in one["rounds"])
    assert len(found["tokens"]) == 6 and "2 rounds are few" in found["warnings"][-1]
    printed = capsys.readouterr().out
    assert "ours in fp32" in printed and "times faster than the plain loop" in printed
    assert (found["instructions"] or "features not listed") in printed


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--length", "100000"], "--length 100000: the teacher takes"),
        (["--out", "not/there/out.json"], "no such folder; make it first"),
        (["--steps", "5000"], "add text"),
    ],
    ids=["length", "folder", "text"],
)
def test_mistakes_are_refused_in_a_line(
    flags: list[str],
    message: str,
    tiny_teacher: Path,
    text_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--teacher", str(tiny_teacher), "--text", str(text_file), *flags]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.long
def test_loops_take_turns_in_processes_of_their_own(tiny_teacher: Path) -> None:
    told: list[str] = []
    plain, ours, *_ = training.measure(work(tiny_teacher), 1, told.append)
    assert (plain["name"], ours["name"]) == (PLAIN, OURS) and told == ["round 1 of 1"]
    assert len(plain["rounds"]) == len(ours["rounds"]) == 1 and not training._loops
