# SPDX-License-Identifier: Apache-2.0
"""The keys of stages change with all that decides what a stage makes, and with nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeTeacher

from pipeline import artifacts
from pipeline.build import main

Keys = Callable[..., dict[str, tuple[str, Mapping[str, Any]]]]
TRAINED = {"teacher", "teacher-outputs", "student"}


@pytest.fixture
def keys(
    make_teacher: MakeTeacher, text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Keys:
    """The key and the inputs of each stage of a build that is planned with some more flags."""
    teacher = str(make_teacher(layers=2))
    real = artifacts._key

    def planned(*flags: str) -> dict[str, tuple[str, Mapping[str, Any]]]:
        found: dict[str, tuple[str, Mapping[str, Any]]] = {}

        def recorded(name: str, settings: Any, inputs: Mapping[str, Any]) -> str:
            found[name] = real(name, settings, inputs), inputs
            return found[name][0]

        monkeypatch.setattr(artifacts, "_key", recorded)
        command = ["--teacher.model", teacher, "--distil.text", str(text_file), "--dry-run"]
        assert main([*command, "--out", str(tmp_path / "out"), *flags]) == 0
        return found

    return planned


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    both = before.keys() & after.keys()
    assert both >= TRAINED
    return {name for name in both if before[name][0] != after[name][0]}


def questions(path: Path) -> list[str]:
    return ["--preset", "smoke", "--train-file", str(path), "--eval-file", str(path)]


def test_what_changes_no_weight_changes_no_key(keys: Keys, squad_file: Path) -> None:
    flags = questions(squad_file)
    before = keys(*flags)
    idle = ["--finetune.cache-gigabytes", "30"]
    for name in ("teacher", "mlm-head", "distil", "finetune"):
        idle += [f"--{name}.optimization.checkpoint-minutes", "3"]
        idle += [f"--{name}.optimization.checkpoint-steps", "7"]
        idle += [f"--{name}.optimization.log-steps", "9"]
    assert changed(before, keys(*flags, *idle)) == set()


def test_a_head_for_masked_words_depends_on_what_masks_them(keys: Keys, squad_file: Path) -> None:
    flags = questions(squad_file)
    before = keys(*flags)
    for more in (("--distil.mask-share", "0.3"), ("--distil.mask-smoothing", "0")):
        assert {"mlm-teacher", "distilled"} <= changed(before, keys(*flags, *more))


def test_the_teachers_outputs_depend_on_the_training_examples(keys: Keys, squad_file: Path) -> None:
    """A teacher that is taken as it is has the same files, whatever the student learns from."""
    flags = questions(squad_file)
    whole, fewer = (
        keys(*flags, *more)["teacher-outputs"][1] for more in ((), ("--max-train", "2"))
    )
    assert whole["train"] == fewer["train"] and whole["count"] != fewer["count"]


def test_the_columns_of_a_table_decide_what_is_learned(keys: Keys, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    rows = [f"words of row {n},other words,{'ab'[n % 2]},{'ab'[n % 3 % 2]}" for n in range(12)]
    table.write_text("\n".join(["body,title,label,second", *rows]) + "\n")
    flags = ["--preset", "embedded-classification", "--task", "text-classification"]
    flags += ["--train-file", str(table), "--eval-file", str(table), "--pair-column", "none"]
    before = keys(*flags, "--text-column", "body", "--label-column", "label")
    for text, label in (("title", "label"), ("body", "second")):
        after = keys(*flags, "--text-column", text, "--label-column", label)
        assert changed(before, after) >= TRAINED | {"tflite", "verify"}


def test_how_lost_answers_are_read_decides_what_is_learned(
    keys: Keys, squad_file: Path, tmp_path: Path
) -> None:
    document = json.loads(squad_file.read_text())
    lost, unanswerable = document["data"][0]["paragraphs"][0]["qas"][:2]
    lost["answers"] = [{"text": "", "answer_start": 0}]
    unanswerable.update(answers=[], is_impossible=True)  # some are so in either case
    path = tmp_path / "lost.json"
    path.write_text(json.dumps(document))
    flags = [*questions(path), "--max-train", "2", "--max-eval", "2"]
    before, after = (keys(*flags, "--empty-answers", how) for how in ("unanswerable", "drop"))
    assert changed(before, after) >= TRAINED
