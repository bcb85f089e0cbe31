# SPDX-License-Identifier: Apache-2.0
"""The drop of the score, on more examples than few for evaluation, shuts the gate or does not."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from class_files import dev_texts, write_student
from scored_files import answered, by_part, describe_any, made, questions

from converters.pretrained import load_with_head
from converters.runtimes.torch import TorchPredictor
from pipeline import sampling, scoring, settings, shipping
from pipeline.artifacts import CHECKPOINTS
from pipeline.scoring import Job, Scoring, score_files
from pipeline.tasks.question_answering.evaluate import Answer
from pipeline.tasks.text_classification import TASK
from pipeline.tasks.text_classification.data import load_texts
from pipeline.tasks.text_classification.evaluate import Prediction
from pipeline.tasks.text_classification.settings import TextData
from pipeline.verify import Part, Run, run

INT8 = Path("tflite/student-int8.tflite")


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> None:
    describe_any(monkeypatch)


def replied(right: Sequence[bool]) -> tuple[Answer, ...]:
    """An answer to each of `questions`, right or wrong."""
    return tuple(Answer("a" if one else "b", 0, 1, 0.0) for one in right)


def with_training(plan: Scoring, count: int, **verification: Any) -> Scoring:
    """The plan with the gates of a default build and so many training examples."""
    chosen = dataclasses.replace(plan.build.verification, processes=1, **verification)
    build = dataclasses.replace(
        plan.build, gates=settings.load("embedded").gates, verification=chosen
    )
    return dataclasses.replace(plan, build=build, training=questions(count).questions)


def gate_of(
    plan: Scoring,
    files: Sequence[Path],
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    evaluation: Sequence[bool],
    training: Sequence[bool],
) -> list[dict[str, Any]]:
    """The entries of files that answer like this, while the student answers everything right."""
    there = answered(range(len(evaluation)))
    run = dataclasses.replace(there, predictions=replied(evaluation))

    def trained(job: Job) -> tuple[Answer, ...]:
        student = job.path == plan.student
        return replied([student or training[place] for place in job.places])

    monkeypatch.setattr(scoring, "score_part", by_part(lambda _: run, trained))
    return score_files(plan, files, there, scratch)


def drop_of(entry: dict[str, Any]) -> tuple[float, bool]:
    """The drop of the score, whose F1 torchmetrics adds up in float32, and whether it passes."""
    (check,) = [each for each in entry["gate"]["checks"] if each["name"] == "score_drop"]
    return round(check["value"], 4), check["passed"]


def test_a_near_tie_of_few_evaluation_examples_does_not_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, described: None
) -> None:
    answers: Any = {"evaluation": [False] + [True] * 39, "training": [False] + [True] * 959}
    alone = with_training(made(40), 0)
    (entry,) = gate_of(alone, [INT8], tmp_path / "alone", monkeypatch, **answers)
    assert drop_of(entry) == (2.5, False) and entry["gate"]["training_examples"] == 0
    more = with_training(made(40), 960)
    (entry,) = gate_of(more, [INT8], tmp_path / "more", monkeypatch, **answers)
    assert drop_of(entry) == (0.2, True) and entry["gate"]["passed"]
    assert (entry["gate"]["examples"], entry["gate"]["training_examples"]) == (40, 960)
    assert entry["scores"] == {"f1": 97.5, "exact_match": 97.5}, (
        "no training example enters a score"
    )


def test_the_gate_shuts_where_training_examples_show_the_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, described: None
) -> None:
    answers: Any = {"evaluation": [True] * 40, "training": [False] * 6 + [True] * 954}
    plan = with_training(made(40), 960)
    (entry,) = gate_of(plan, [INT8], tmp_path, monkeypatch, **answers)
    assert drop_of(entry) == (0.6, False) and not entry["gate"]["passed"]
    assert entry["scores"] == {"f1": 100.0, "exact_match": 100.0}


def test_files_that_may_change_nothing_and_slow_ones_get_fewer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, described: None
) -> None:
    monkeypatch.setattr(scoring.sys, "platform", "linux")
    files = [INT8, Path("tflite/student-fp32.tflite"), Path("coreml/student-int8.mlpackage")]
    plan = with_training(made(480), 700)
    answers: Any = {"evaluation": [True] * 480, "training": [True] * 700}
    entries = gate_of(plan, files, tmp_path, monkeypatch, **answers)
    assert [entry["gate"]["training_examples"] for entry in entries] == [700, 0, 20]
    assert all(drop_of(entry) == (0.0, True) for entry in entries)
    many = with_training(made(501), 700)
    assert [len(many.drawn(path)) for path in files] == [700, 0, 0]


def test_the_student_is_not_asked_again_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, described: None
) -> None:
    plan, asked = with_training(made(40), 60), list[Job]()

    def trained(job: Job) -> tuple[Answer, ...]:
        asked.append(job)
        return replied([True] * len(job.places))

    def stop(_: Job) -> Run:
        raise KeyboardInterrupt

    files = [INT8, Path("onnx/student-int8.onnx")]
    monkeypatch.setattr(scoring, "score_part", by_part(stop, trained))
    with pytest.raises(KeyboardInterrupt):
        score_files(plan, files, answered(range(40)), tmp_path)
    whole = range(60)
    assert asked == [Job(plan.student, "training", whole)]
    monkeypatch.setattr(scoring, "score_part", by_part(lambda _: answered(range(40)), trained))
    entries = score_files(plan, files, answered(range(40)), tmp_path)
    assert asked[1:] == [Job(path, "training", whole) for path in files], "the student no more"
    assert [drop_of(entry)[0] for entry in entries] == [0.0, 0.0]
    kept = [path.name for path in tmp_path.iterdir()]
    assert len(kept) == 3, "of the student and of each file"
    assert all(any(fnmatch(name, each) for each in CHECKPOINTS) for name in kept), (
        "and then removed"
    )


def test_processes_share_the_examples_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, described: None
) -> None:
    """And those of the student: in parts, whose predictions keep the order of the examples.

    A file that is done before the student waits for it.
    """
    from concurrent.futures import ThreadPoolExecutor

    sizes: list[int] = []
    right = [place % 7 > 0 for place in range(600)]

    def pool(processes: int, _: Any, begin: Any, arguments: Any) -> Any:
        sizes.append(processes)
        scoring._scoring.append(arguments[0])
        return ThreadPoolExecutor(7)

    def trained(job: Job) -> tuple[Answer, ...]:
        if job.path == plan.student:
            time.sleep(0.1)
        return replied([right[place] for place in job.places])

    there = dataclasses.replace(answered(range(300)), predictions=replied(right[:300]))
    monkeypatch.setattr(scoring, "ProcessPoolExecutor", pool)
    monkeypatch.setattr(scoring, "score_part", by_part(lambda _: there, trained))
    plan = with_training(made(300), 600, padded_examples=300)
    chosen = dataclasses.replace(plan.build.verification, processes=8)
    plan = dataclasses.replace(plan, build=dataclasses.replace(plan.build, verification=chosen))
    (entry,) = score_files(plan, [INT8], there, tmp_path)
    assert sizes == [8] and drop_of(entry) == (0.0, True)
    errors = [check["value"] for check in entry["gate"]["checks"] if "error" in check["name"]]
    assert errors == [0.0, 0.0], "each part is compared with its own examples"


def test_the_accuracy_of_texts_drops_on_training_texts_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, described: None, tokenizer: Any
) -> None:
    """The file has the student's classes for the evaluation texts, and other ones for the rest."""
    student = write_student(tmp_path / "student", tokenizer)
    texts, train = dev_texts(5), load_texts(TextData(), "train").limited(40)
    traits = TASK.traits(train)
    build = settings.load("embedded-classification")
    hardware = dataclasses.replace(build.hardware, progress=False, device="cpu")
    build = dataclasses.replace(build, hardware=hardware)
    reader = TASK.reader(
        TorchPredictor(load_with_head(student), "tiny"), tokenizer, build.data, traits
    )
    drawn = sampling.draw(build, TASK, student, texts, traits, train)
    assert set(drawn) == set(train.examples)
    gold = [one.label for one in drawn]
    answers = [reader.read(one).prediction for one in drawn]
    right = sum(one.label == label for one, label in zip(answers, gold, strict=True))
    assert 0 < right < 40

    def moved(prediction: Prediction) -> Prediction:
        shares = prediction.probabilities
        return dataclasses.replace(prediction, probabilities=(*shares[1:], shares[0]))

    others = [moved(one) for one in answers]
    still = sum(one.label == label for one, label in zip(others, gold, strict=True))
    original, run_of_file = (
        scoring.score_part,
        by_part(lambda _: run(TASK, reader, texts), lambda _: others),
    )

    def score_part(plan: Scoring, job: Job, shown: bool) -> Part:
        return (original if job.path == student else run_of_file)(plan, job, shown)

    monkeypatch.setattr(scoring, "score_part", score_part)
    (tmp_path / "verify").mkdir()
    facts = shipping.verify(
        *(tmp_path / "verify", tmp_path / "scratch", build, TASK, None, student),
        [tmp_path / INT8],
        *(texts, traits, train),
    )
    document = json.loads((tmp_path / "verify" / "verify.json").read_text("utf-8"))
    (entry,) = document["files"]
    assert entry["gate"]["training_examples"] == 40
    drop, passed = drop_of(entry)
    assert drop == pytest.approx(100.0 * (right - still) / 45, abs=1e-4)
    assert facts["passed"] is entry["gate"]["passed"] is passed is (drop <= 0.5)
    assert entry["scores"] == document["models"][0]["scores"]
