# SPDX-License-Identifier: Apache-2.0
"""Scores in a training: when they are taken, which weights are kept, and when it ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import toy_task
from build_command import command
from torch import Tensor, nn

from converters.pretrained import load_with_head
from converters.runtimes.torch import TorchPredictor
from pipeline import learning, settings, tasks
from pipeline.artifacts import RUNS, SCORES
from pipeline.build import main
from pipeline.config import Hardware, Optimization
from pipeline.errors import UserError
from pipeline.models.teacher import load_tokenizer
from pipeline.start import start
from pipeline.training.batches import Batch, Schedule
from pipeline.training.loop import Fit, fit
from pipeline.verify import run

CPU = Hardware(device="cpu", precision="fp32", progress=False)
OFF = Optimization(
    epochs=1, batch_size=2, learning_rate=0.1, warmup=0.0, checkpoint_steps=4, log_steps=2
)  # 20 steps
SCORED = replace(OFF, eval_steps=3)
BEST = replace(SCORED, keep_best=True)
PATIENT = replace(BEST, patience=2)


class Slope(nn.Module):
    """One weight that grows with every step, and another that dropout disturbs."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.noisy = nn.Parameter(torch.zeros(1)), nn.Linear(4, 1)
        self.dropout = nn.Dropout(0.5)
        nn.init.constant_(self.noisy.weight, 0.25)

    def forward(self, x: Tensor) -> Tensor:
        return self.noisy(self.dropout(x))  # type: ignore[no-any-return]


class Cut(Exception):  # noqa: N818
    """A power cut."""


def measure(model: Any) -> tuple[str, float]:
    """Highest where the weight comes nearest to 0.7, which is after 9 steps."""
    assert not model.training and model.dropout(torch.ones(9)).sum() == 9
    return "near", -abs(float(model.weight.detach()) - 0.7)


def train(
    scratch: Path, how: Optimization, cut_at: int = 0, hardware: Hardware = CPU, **more: Any
) -> tuple[dict[str, Tensor], Fit]:
    torch.manual_seed(0)
    model = Slope()
    left = [cut_at]

    def loss(model: Any, batch: Batch) -> dict[str, Tensor]:
        left[0] -= 1
        if left[0] == 0:
            raise Cut
        return {"up": -model.weight.sum(), "noise": model(batch["x"]).square().mean()}

    def collate(items: list[tuple[int, float]]) -> Batch:
        return {"x": torch.tensor([[value] * 4 for _, value in items])}

    examples = Schedule([i / 40 for i in range(40)], [1] * 40, how.batch_size, how.epochs, 1)
    more = {"measure": measure} | more
    result = fit(
        model, examples, collate, loss, settings=how, hardware=hardware, seed=5, scratch=scratch,
        label="toy", **more,
    )  # fmt: skip
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}, result


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, b[name]) for name, tensor in a.items())


def scores(scratch: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((scratch / RUNS / SCORES).read_text("utf-8"))
    return found


def steps(scratch: Path) -> list[int]:
    return [each["step"] for each in scores(scratch)]


def kept(scratch: Path) -> list[str]:
    return sorted(path.name for path in scratch.glob("best-*"))


def test_scores_alone_change_nothing(tmp_path: Path) -> None:
    plain, result = train(tmp_path / "off", OFF)
    assert result.scores == {} and not (tmp_path / "off" / RUNS / SCORES).exists()
    scored, also = train(tmp_path / "scored", SCORED)
    assert same(plain, scored) and replace(also, scores={}) == result
    losses = [(tmp_path / name / RUNS / "losses.json").read_bytes() for name in ("off", "scored")]
    assert losses[0] == losses[1]
    assert steps(tmp_path / "scored") == [3, 6, 9, 12, 15, 18, 20], "also at the end"
    assert also.facts()["eval_near"] == round(scores(tmp_path / "scored")[-1]["score"], 2)
    assert kept(tmp_path / "scored") == []


def test_the_best_weights_are_those_of_their_step(tmp_path: Path) -> None:
    seen: dict[float, dict[str, Tensor]] = {}

    def spied(model: Any) -> tuple[str, float]:
        name, score = measure(model)
        seen[score] = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        return name, score

    best, result = train(tmp_path, BEST, measure=spied)
    assert same(best, seen[max(seen)]) and not same(best, list(seen.values())[-1])
    assert result.steps == 20 and result.scores == {
        "eval_near": round(max(seen), 2),
        "best_step": 9,
    }
    assert kept(tmp_path) == ["best-9.safetensors"]


def test_patience_ends_a_training_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = replace(CPU, progress=True)
    ended, result = train(tmp_path / "a", PATIENT, hardware=shown)
    assert result.steps == 15 and steps(tmp_path / "a") == [3, 6, 9, 12, 15]
    assert result.facts()["ended_early"] == "after 2 evaluations without a gain"
    log = capsys.readouterr().err
    assert "toy: near -0.01 at step 9\n" in log
    assert "toy: near -0.16 at step 12, the best is -0.01 at step 9\n" in log
    assert "toy: ends after 2 evaluations without a gain\n" in log
    patient, result = train(tmp_path / "b", replace(BEST, patience=9))
    assert result.steps == 20 and "ended_early" not in result.facts()
    assert same(ended, patient), "both are the best weights"


@pytest.mark.parametrize("how", [BEST, PATIENT], ids=["best", "patience"])
@pytest.mark.parametrize("call", [2, 8, 11, 14])
def test_a_killed_run_goes_on_with_its_best_and_its_patience(
    tmp_path: Path, how: Optimization, call: int
) -> None:
    undisturbed, result = train(tmp_path / "a", how)
    with pytest.raises(Cut):
        train(tmp_path / "b", how, cut_at=call)
    resumed, again = train(tmp_path / "b", how)
    assert same(resumed, undisturbed) and again == result
    assert scores(tmp_path / "b") == scores(tmp_path / "a")
    assert kept(tmp_path / "b") == kept(tmp_path / "a") == ["best-9.safetensors"]


def test_weights_that_a_checkpoint_needs_stay_until_the_next(tmp_path: Path) -> None:
    with pytest.raises(Cut):
        train(tmp_path, BEST, cut_at=8)  # after the scores of steps 3 and 6, saved at 4
    assert kept(tmp_path) == ["best-3.safetensors", "best-6.safetensors"]

    def worse(model: Any) -> tuple[str, float]:
        return "near", -9.0  # of a machine that rounds in another way

    _, result = train(tmp_path, BEST, measure=worse)
    assert result.scores["best_step"] == 3 and kept(tmp_path) == ["best-3.safetensors"]


def test_a_run_killed_after_it_ended_early_takes_no_step_more(tmp_path: Path) -> None:
    ended, result = train(tmp_path, PATIENT)
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-15"]
    resumed, again = train(tmp_path, PATIENT, cut_at=1)
    assert same(resumed, ended) and again == result and steps(tmp_path) == [3, 6, 9, 12, 15]


def test_scores_are_those_of_float32(tmp_path: Path) -> None:
    """Whatever the model trains in: the gates compute in float32 too."""
    types: set[torch.dtype] = set()

    def typed(model: Any) -> tuple[str, float]:
        x = torch.linspace(0.1, 0.3, 4)[None]
        types.add(torch.float32 if torch.equal(model(x), model.noisy(x)) else torch.bfloat16)
        return measure(model)

    half = replace(CPU, precision="bf16")
    _, result = train(tmp_path, SCORED, hardware=half, measure=typed)
    assert result.precision == "bf16" and types == {torch.float32}


def test_a_score_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="the near of the toy is no number at step 3"):
        train(tmp_path, SCORED, measure=lambda model: ("near", float("nan")))


def test_a_training_without_a_metric_is_not_scored(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="eval_steps: this training has no metric; leave it out"):
        train(tmp_path / "new", SCORED, measure=None)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--finetune.optimization.keep-best"], "keep-best needs scores .* give .*eval-steps too"),
        (["--teacher.optimization.patience", "3"], "teacher.*patience ends .* give .*keep-best"),
        (
            ["--finetune.optimization.patience", "3", "--finetune.optimization.eval-steps", "5"],
            "finetune.optimization.patience ends a training whose best weights are kept",
        ),
        (["--distil.optimization.eval-steps", "5"], "distil.optimization.eval-steps: .* no metric"),
        (["--mlm-head.optimization.keep-best"], "mlm-head.optimization.keep-best: .* no metric"),
    ],
    ids=["best-alone", "patience-alone", "patience-without-best", "text", "mlm-head"],
)
def test_what_does_not_go_together_is_refused(flags: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        settings.parse(["--preset", "smoke", *flags], "")
    assert "\n" not in str(caught.value)


def test_what_goes_together_is_taken() -> None:
    flags = ["--finetune.optimization.eval-steps", "5", "--finetune.optimization.keep-best"]
    flags += ["--finetune.optimization.patience", "3"]
    how = settings.parse(["--preset", "smoke", *flags], "").finetune.optimization
    assert (how.eval_steps, how.keep_best, how.patience, how.eval_examples) == (5, True, 3, 500)


@pytest.mark.parametrize("task", ["question-answering", "text-classification", "toy"])
def test_every_task_is_scored_as_the_gates_score_it(
    task: str,
    tiny_teacher: Path,
    tiny_squad: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also with questions without answers, where each score finds a threshold of its own."""
    monkeypatch.setattr(tasks, "TASKS", (*tasks.TASKS, "toy"))
    monkeypatch.setitem(sys.modules, "pipeline.tasks.toy", toy_task)
    flags = ["--preset", "smoke", "--task", task, "--student.model", str(tiny_teacher)]
    flags += ["--max-eval", "12", "--max-length", "64", "--hardware.no-progress"]
    how = "--finetune.optimization."
    flags += [f"{how}eval-steps", "1", f"{how}eval-examples", "9", f"{how}learning-rate", "0.01"]
    if task == "text-classification":
        flags += ["--hardware.precision", "bf16"]  # scored in float32 all the same
    if task == "question-answering":
        squad = str(tiny_squad(12, impossible=5))
        flags += ["--train-file", squad, "--eval-file", squad]
        flags += ["--stride", "16", "--max-query", "16"]
    build = settings.parse(flags, "")
    said: list[str] = []
    began = start(build, said.append)
    assert not any("choose the weights" in line for line in said)
    start(replace(build, finetune=replace(build.finetune, optimization=BEST)), said.append)
    assert f"note: examples of {began.evaluation.name} choose the weights" in said[-1]
    facts = learning.finetune_student(tmp_path / "a", tmp_path / "b", began, None, None, None)
    assert facts["steps"] == 2 and facts["eval_examples"] == 9
    model = TorchPredictor(load_with_head(tmp_path / "a"), "student")
    some, tokenizer = began.evaluation.spread(9), load_tokenizer(tmp_path / "a")
    traits = dict(began.traits)
    if task == "question-answering":
        assert began.task.calibrates(traits, some)
        traits |= began.task.calibrate(model, tokenizer, build.data, traits, some)
    reader = began.task.reader(model, tokenizer, build.data, traits)
    metric, score = next(iter(run(began.task, reader, some).scores.items()))
    assert facts[f"eval_{metric}"] == round(score, 2)
    assert began.scored_by(OFF) == {}, "a training without scores keeps its key"
    assert began.evaluation.sha256 in str(began.scored_by(SCORED))


@pytest.mark.long
def test_a_build_reports_its_scores(
    tiny_teacher: Path, squad_file: Path, text_file: Path, tmp_path: Path
) -> None:
    flags = command(tiny_teacher, squad_file, text_file, tmp_path)[3:]
    for stage in ("teacher", "finetune"):
        how = f"--{stage}.optimization."
        flags += [f"{how}eval-steps", "4", f"{how}keep-best", f"{how}patience", "1"]
    assert main([*flags, "--precision", "fp32", "--benchmark.no-enabled"]) == 0
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    stages = {stage["name"]: stage for stage in report["stages"]}
    for name in ("teacher", "student"):
        facts, scores = stages[name]["facts"], stages[name]["evaluations"]
        best = max(scores, key=lambda each: each["score"])
        assert (facts["best_step"], facts["eval_f1"]) == (best["step"], round(best["score"], 2))
        model = next(each for each in report["models"] if each["name"] == name)
        assert model["scores"]["f1"] == facts["eval_f1"], "of all examples, as many as were scored"
    assert any("ended_early" in stages[name]["facts"] for name in ("teacher", "student"))
    assert "Score in training" in (tmp_path / "report.html").read_text("utf-8")
