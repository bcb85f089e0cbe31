# SPDX-License-Identifier: Apache-2.0
"""Builds of smaller students: fewer neurons, and fewer word pieces."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import MakeTeacher
from transformers import (
    AutoModelForQuestionAnswering,
    AutoTokenizer,
    BertForSequenceClassification,
)

from pipeline import settings, shrinking, tasks
from pipeline.build import main
from pipeline.errors import UserError
from pipeline.start import start

QUICK = (
    *("--preset", "smoke", "--target", "tflite", "--precision", "fp32", "--no-benchmark"),
    *("--no-distil", "--max-length", "128", "--max-query", "16", "--stride", "16"),
    *("--golden-cases", "2", "--hardware.no-progress", "--finetune.optimization.max-steps", "2"),
)


@pytest.mark.long
def test_a_student_with_fewer_neurons_and_pieces(
    make_teacher: MakeTeacher, squad_file: Path, text_file: Path, tmp_path: Path
) -> None:
    teacher, out = make_teacher(head="qa"), tmp_path / "out"
    flags = [*QUICK, "--teacher", str(teacher), "--out", str(out)]
    flags += ["--train-file", str(squad_file), "--eval-file", str(squad_file)]
    smaller = ["--student.intermediate-size", "0.5", "--vocabulary", "trim"]
    assert main([*flags, *smaller, "--vocabulary-text", str(text_file), "passages"]) == 0

    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    facts = {stage["name"]: stage["facts"] for stage in report["stages"]}
    assert facts["student"]["neurons"] == "32 of 64"
    student = AutoModelForQuestionAnswering.from_pretrained(out / "trimmed")
    tokenizer = AutoTokenizer.from_pretrained(out / "trimmed")
    assert student.config.hidden_dim == 32
    assert student.config.vocab_size == len(tokenizer) == facts["trimmed"]["pieces"]
    whole = AutoTokenizer.from_pretrained(out / "student")
    assert len(tokenizer) < len(whole) == facts["trimmed"]["pieces_before"]
    vocabulary = (out / "tflite" / "vocab.txt").read_text(encoding="utf-8").splitlines()
    assert len(vocabulary) == len(tokenizer)
    assert (out / "hub" / "vocab.txt").read_text(encoding="utf-8").splitlines() == vocabulary
    card = (out / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "32 of 64 neurons" in card and "word pieces, those of" in card

    # The whole vocabulary again: the student is not trained anew, and answers the same.
    assert main([*flags, *smaller[:2]]) == 0
    again = json.loads((out / "report.json").read_text(encoding="utf-8"))
    resumed = {stage["name"]: stage["resumed"] for stage in again["stages"]}
    assert resumed["student"] and "trimmed" not in resumed
    scores = [{m["name"]: m["scores"] for m in each["models"]} for each in (report, again)]
    assert scores[0] == scores[1]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--student.intermediate-size", "65"], "the feed-forward layers have 64 neurons"),
        (["--student.intermediate-size", "8.5"], "give a whole number up to 64"),
        (["--student.intermediate-size", "-1"], "greater than 0"),
        (["--vocabulary", "trim", "--vocabulary-text", "nowhere.txt"], "no text file nowhere.txt"),
        (["--vocabulary", "trim", "--vocabulary-text", "language:xx"], "no such language"),
        (["--vocabulary-text", "nowhere.txt"], "without --vocabulary trim"),
    ],
    ids=["too many", "a fraction", "negative", "no file", "no language", "not trimmed"],
)
def test_what_cannot_be_is_refused_before_any_training(
    flags: list[str],
    words: str,
    tiny_teacher: Path,
    squad_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [*QUICK, "--teacher", str(tiny_teacher), "--out", str(tmp_path / "out")]
    given += ["--train-file", str(squad_file), "--eval-file", str(squad_file), *flags]
    assert main(given) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and words in line
    assert not list((tmp_path / "out").glob("stages/*"))


def test_fewer_neurons_need_training(make_teacher: MakeTeacher) -> None:
    student = str(make_teacher(head="qa"))
    asked = ["--student", student, "--no-finetune", "--student.intermediate-size", "0.5"]
    with pytest.raises(UserError, match="has to learn again"):
        start(settings.parse(asked, ""), print)


def test_texts_of_examples_that_were_cut_keep_their_pieces_too(
    make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    student, texts = make_teacher(head="qa"), tmp_path / "texts.csv"
    shutil.copytree(student, tmp_path / "student")
    model = BertForSequenceClassification.from_pretrained(student, num_labels=2)
    model.save_pretrained(tmp_path / "student")
    texts.write_text("text,label\nanna built the tower,0\nin rome the museum and tower,1\n")
    given = ["--task", "text-classification", "--eval-file", str(texts), "--max-length", "16"]
    config = settings.parse([*given, "--vocabulary", "trim"], "")
    config = replace(config, data=replace(config.data, max_length=4))  # the last words are cut off
    task = tasks.find(config.task)
    examples, out = task.load(config.data, "dev"), tmp_path / "out"
    out.mkdir()
    traits = task.traits(examples)
    shrinking.trim_vocabulary(out, config, task, tmp_path / "student", None, None, examples, traits)
    assert "tower" in AutoTokenizer.from_pretrained(out).get_vocab()
