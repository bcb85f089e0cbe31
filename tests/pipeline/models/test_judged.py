# SPDX-License-Identifier: Apache-2.0
"""Made-up folders of models as people have them: each is judged, and built or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import model_cases
import pytest
from model_cases import CASES

from pipeline import build, check
from pipeline.artifacts import MANIFEST

CASED = ("cased", "multilingual", "vocab-txt-cased")


@pytest.mark.parametrize("name", CASES)
def test_every_folder_is_judged(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    folder = model_cases.make(name, tmp_path)
    capsys.readouterr()
    code = check.main([str(folder), "--as", case.role])
    printed = capsys.readouterr()
    errors = printed.err.splitlines()
    assert len(errors) == len(case.refused), printed.err
    for words in case.refused:
        assert any(words in line for line in errors), (words, errors)
    assert all(line.startswith(f"error: {case.role} mine") for line in errors)
    assert code == (2 if case.refused else 0)
    if not case.refused:
        assert case.note in printed.out and ("note: " in printed.out) == bool(case.note)
        document = check.examine(str(folder), role=case.role)
        assert document["usable"]
        assert ("question-answering" in document["model"]["fits"]) == case.ready
        fits = "text-classification" in document["model"]["fits"]
        assert fits == (name == "classifier-of-five")


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_every_folder_is_built_or_refused_before_training(
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tiny_squad: Callable[..., Path],
    text_file: Path,
) -> None:
    case, squad, out = CASES[name], tiny_squad(), tmp_path / "out"
    folder = model_cases.make(name, tmp_path)
    capsys.readouterr()
    code = build.main(
        [
            *("--preset", "smoke", "--target", "tflite", "--precision", "fp32"),
            *(f"--{case.role}", str(folder), "--out", str(out), "--no-benchmark"),
            *("--train-file", str(squad), "--eval-file", str(squad)),
            *("--distil.text", str(text_file), "--distil.length", "32"),
            *("--max-length", "64", "--stride", "16", "--max-query", "16"),
            *("--golden-cases", "2", "--hardware.no-progress"),
        ]
    )
    printed = capsys.readouterr()
    if case.refused:
        assert code == 2 and not list(out.rglob(MANIFEST))
        errors = printed.err.splitlines()
        assert len(errors) == len(case.refused)
        for words in case.refused:
            assert any(words in line for line in errors), (words, errors)
        return
    assert code == 0, printed.err
    assert case.note in printed.out
    assert (out / "tflite" / "student-fp32.tflite").is_file()
    described = json.loads((out / "tflite" / "model.json").read_text())
    assert described["tokenizer"]["lower_case"] is (
        name not in ("cased", "multilingual", "vocab-txt-cased")
    )
    stages = {path.parent.name for path in out.rglob(MANIFEST)}
    trained = "teacher" in stages or not case.ready
    assert trained == (case.role == "teacher" or not case.ready)
