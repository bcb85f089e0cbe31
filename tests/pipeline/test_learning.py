# SPDX-License-Identifier: Apache-2.0
"""General distillation over a streamed data set, and with and without a vocabulary to name."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import MakeTeacher
from model_folders import tensors
from safetensors.numpy import load_file

from pipeline import distilling, settings
from pipeline.build import main
from pipeline.config import Build
from pipeline.data import corpus
from pipeline.errors import UserError

FLAGS = (
    *("--preset", "smoke", "--distil.text", "acme/text", "--distil.length", "32"),
    *("--distil.optimization.max-steps", "3", "--mlm-head.max-samples", "80"),
    *("--distil.counted-samples", "50", "--hardware.workers", "0"),
    *("--hardware.device", "cpu", "--hardware.no-progress"),
)


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> Build:
    """Settings with a data set that never ends, as far as anybody can tell."""

    def rows(source: str, split: str, *, streaming: bool = False) -> Any:
        assert (source, split, streaming) == ("acme/text", "train", True)
        return ({"text": f"anna built the tower of rome in {i}."} for i in itertools.count())

    monkeypatch.setattr(corpus, "load_dataset", rows)
    return settings.parse(list(FLAGS), "")


def test_a_head_is_fitted_and_a_student_taught_on_a_stream(
    streamed: Build, tiny_teacher: Path, tmp_path: Path
) -> None:
    speaker, distilled = tmp_path / "speaker", tmp_path / "distilled"
    facts = distilling.fit_mlm_head(
        speaker, tmp_path / "a", streamed, tiny_teacher, None, has_head=False
    )
    assert facts["masked_accuracy_after"] >= facts["masked_accuracy_before"]
    facts = distilling.distil(distilled, tmp_path / "b", streamed, speaker, None, (0, 2))
    assert (facts["steps"], facts["text_sha256"]) == (3, None)
    assert json.loads((distilled / "config.json").read_text())["n_layers"] == 2


def test_without_a_vocabulary_to_name_no_head_is_fitted(
    tiny_teacher: Path,
    squad_file: Path,
    text_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = ["--train-file", str(squad_file), "--eval-file", str(squad_file)]
    flags = ["--preset", "smoke", "--distil.text", str(text_file), *data]
    flags += ["--teacher.model", str(tiny_teacher), "--out", str(tmp_path), "--dry-run"]
    hidden = ["--distil.alpha-ce", "0", "--distil.alpha-mlm", "0", "--distil.alpha-hidden", "1"]
    for extra, fitted in (([], True), (hidden, False)):
        assert main([*flags, *extra]) == 0
        plan = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
        assert ("mlm-teacher" in plan) is fitted and "distilled" in plan


def test_a_teacher_that_came_with_both_heads_keeps_the_one_for_masked_words(
    make_teacher: MakeTeacher,
    squad_file: Path,
    text_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The stage "teacher" copies such a teacher without it: the teacher as it came is used."""
    folder = tmp_path / "both"
    shutil.copytree(make_teacher(head="mlm"), folder)
    spans = {"qa_outputs.weight": torch.zeros(2, 32), "qa_outputs.bias": torch.zeros(2)}
    tensors(folder, lambda all_: all_ | spans)
    seen = []

    def fit(*arguments: Any, has_head: bool, head_from: Path | None) -> Any:
        seen.append((arguments[3], has_head, head_from))
        raise UserError("enough")

    monkeypatch.setattr(distilling, "fit_mlm_head", fit)
    data = ["--train-file", str(squad_file), "--eval-file", str(squad_file)]
    flags = ["--preset", "smoke", "--distil.text", str(text_file), "--distil.teacher", "finetuned"]
    flags += [*data, "--teacher.model", str(folder), "--out", str(tmp_path / "out")]
    assert main(flags) == 2
    assert "enough" in capsys.readouterr().err and seen == [(folder, True, None)]


def test_a_teacher_without_a_head_teaches_hidden_states(
    streamed: Build, tiny_teacher: Path, text_file: Path, tmp_path: Path
) -> None:
    hidden = ("--distil.alpha-ce", "0", "--distil.alpha-mlm", "0", "--distil.alpha-hidden", "1")
    build = settings.parse([*FLAGS, *hidden, "--distil.mask-share", "0"], "")
    text = corpus.load_corpus([str(text_file)])
    facts = distilling.distil(tmp_path / "a", tmp_path / "b", build, tiny_teacher, text, (0, 2))
    assert facts["text_sha256"] == text.sha256
    weights = load_file(tmp_path / "a" / "model.safetensors")
    assert any(name.startswith("distilbert.transformer.layer.1.") for name in weights)
