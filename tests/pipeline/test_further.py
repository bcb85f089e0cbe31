# SPDX-License-Identifier: Apache-2.0
"""A teacher with the package's adapter is fine-tuned further on examples of the user's."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from model_folders import carry
from transformers import BertForQuestionAnswering

from pipeline import distilling, learning, settings
from pipeline.build import main
from pipeline.config import Build
from pipeline.data.corpus import load_corpus
from pipeline.errors import UserError
from pipeline.models import teacher
from pipeline.models.heads import SPAN_HEAD
from pipeline.start import Start, start
from pipeline.training import distil

IDS = torch.tensor([[2, 9, 14, 3, 7, 21, 40, 3]])
FLAGS = (
    *("--preset", "smoke", "--max-length", "64", "--stride", "16", "--max-query", "16"),
    *("--hardware.device", "cpu", "--hardware.no-progress", "--teacher.adapter", "carried"),
)
FURTHER = "note: the teacher starts from the package's adapter and is fine-tuned further"
AS_IT_IS = "note: the teacher is taken as it is, with the package's adapter, and does not learn"


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny adapter with its base model in the places of those of the package."""
    folder = tmp_path / "package"
    carry(folder, monkeypatch)
    return folder


@pytest.fixture
def mine(tiny_squad: Callable[..., Path]) -> tuple[str, ...]:
    data = str(tiny_squad())
    return ("--train-file", data, "--eval-file", data)


def begun(*flags: str) -> tuple[Start, str]:
    said: list[str] = []
    began = start(settings.parse([*FLAGS, *flags], ""), said.append)
    return began, "\n".join(said)


def test_it_learns_from_other_examples_than_the_adapter_did(
    packages: Path, mine: tuple[str, ...], tmp_path: Path
) -> None:
    began, said = begun(
        *mine,
        "--cloze-questions",
        "5",
        "--short-share",
        "0.5",
        "--teacher.further-learning-rate",
        "3e-5",
    )
    assert began.given.teacher_learns and FURTHER in said and "rates of up to 3e-05;" in said
    assert began.teacher_optimization.learning_rate == 3e-5, "the preset has 1e-4"
    data: Any = began.teacher_data
    assert (data.cloze_questions, data.short_share, data.max_length) == (0, 0.0, 64)

    shutil.copytree(packages, tmp_path / "other")
    for flags, learns, note in (
        ((), False, ""),  # the adapter was trained on the embedded questions
        (("--teacher.finetune", "always"), True, FURTHER),
        ((*mine, "--teacher.finetune", "never"), False, AS_IT_IS),
        ((*mine, "--teacher.adapter", str(tmp_path / "other")), False, ""),
    ):
        began, said = begun(*flags)
        assert began.given.teacher_learns is learns and (
            note in said if note else "note" not in said
        )


def test_a_lower_rate_of_the_users_stays(packages: Path, mine: tuple[str, ...]) -> None:
    began, _ = begun(*mine, "--teacher.optimization.learning-rate", "1e-6")
    assert began.teacher_optimization.learning_rate == 1e-6


def test_a_teacher_without_a_head_cannot_be_taken_as_it_is(packages: Path) -> None:
    with pytest.raises(UserError, match="tiny has no head for the task and would teach at random"):
        begun("--teacher.adapter", "none", "--teacher.finetune", "never")
    began, _ = begun("--teacher.adapter", "none")
    assert began.given.teacher_learns and began.teacher_optimization.learning_rate == 1e-4


def test_it_starts_from_the_merged_encoder_and_both_heads(
    packages: Path,
    mine: tuple[str, ...],
    text_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    still = ("--teacher.further-learning-rate", "1e-12")  # far below the rounding of float32
    began, _ = begun(*mine, *still)
    source, folder = began.given.teacher, tmp_path / "teacher"
    assert source is not None and source.carried and source.has_mlm_head
    made: list[Any] = []
    features = type(began.task).features

    def counted(*arguments: Any) -> Any:
        made.append(features(*arguments))
        return made[-1]

    monkeypatch.setattr(type(began.task), "features", counted)
    facts = learning.finetune_teacher(folder, tmp_path / "a", began, source)
    assert facts["head"] == "the package's adapter" and facts["learning_rate"] == 1e-12
    assert facts["steps"] == 2  # 12 questions in batches of 8
    with torch.no_grad():
        before = teacher.load_for_task(source, SPAN_HEAD, 2)(IDS).start_logits
        after = BertForQuestionAnswering.from_pretrained(folder).eval()(IDS).start_logits
    torch.testing.assert_close(after, before, rtol=0, atol=1e-5)

    # Its outputs are recorded and the student learns from them: the inputs are made once.
    began.kept.clear()
    del made[:]
    (tmp_path / "outputs").mkdir()
    learning.record_teacher_outputs(tmp_path / "outputs", began, folder)
    learning.finetune_student(
        tmp_path / "student", tmp_path / "b", began, folder, None, tmp_path / "outputs"
    )
    assert len(made) == 1

    # The head for masked words is fitted from the one that came; the table stays the teacher's.
    seen: list[Any] = []

    def fit(speaks: Any, *_: Any, new: bool, **__: Any) -> dict[str, Any]:
        seen.append((speaks.state_dict(), new))
        return {"steps": 1}

    monkeypatch.setattr(distil, "fit_mlm_head", fit)
    tuned = BertForQuestionAnswering.from_pretrained(folder)
    with torch.no_grad():
        tuned.bert.embeddings.word_embeddings.weight.add_(1.0)
    tuned.save_pretrained(folder)
    text = load_corpus([str(text_file)])
    config: Build = began.config
    facts = distilling.fit_mlm_head(
        tmp_path / "mlm", tmp_path / "c", config, folder, text, False, source.folder
    )
    assert facts == {"head": "the teacher's own", "steps": 1}
    ((state, new),) = seen
    came = teacher.load_mlm(source.folder).state_dict()
    for name in ("transform.dense.weight", "transform.LayerNorm.bias", "bias"):
        assert torch.equal(state[f"cls.predictions.{name}"], came[f"cls.predictions.{name}"])
    table = tuned.bert.embeddings.word_embeddings.weight
    assert not new and torch.equal(state["bert.embeddings.word_embeddings.weight"], table)


def test_the_plan_says_which_of_the_two_happens(
    packages: Path,
    mine: tuple[str, ...],
    text_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = [*FLAGS, *mine, "--distil.text", str(text_file), "--out", str(tmp_path / "out")]
    flags += ["--dry-run", "--distil.teacher", "finetuned"]
    assert main(flags) == 0
    planned = capsys.readouterr().out.splitlines()
    assert any(line.startswith("The teacher starts from the package's adapter") for line in planned)
    for stage in ("teacher ", "mlm-teacher "):  # with its steps
        assert any(line.startswith(stage) and " GB" in line for line in planned), stage
    assert main([*flags, "--teacher.finetune", "never"]) == 0
    planned = capsys.readouterr().out.splitlines()
    assert any(line.startswith("The teacher is taken as it is") for line in planned)
    for stage in ("teacher ", "mlm-teacher "):
        assert not any(line.startswith(stage) and " GB" in line for line in planned), stage
