# SPDX-License-Identifier: Apache-2.0
"""The whole way of tiny classifiers: to every format, through the gates, and back into Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoModelForSequenceClassification, BertForSequenceClassification

from converters import sealed
from converters.coreml import package as coreml_package
from converters.runtimes.open import open_predictor
from converters.tflite.metadata import read_metadata
from pipeline import ask, build, predict
from pipeline.tasks.text_classification import golden

SENTENCE = "the a tower bridge poem river garden ship clock house north south old new city"
WORDS = SENTENCE.split()
LABELS = ["boat", "place", "thing"]


def lines(count: int, begin: int = 0) -> list[tuple[str, str]]:
    """Texts whose class hangs on one word."""
    signs = {"ship": "boat", "city": "place", "clock": "thing"}
    rows = []
    for n in range(begin, begin + count):
        sign = list(signs)[n % 3]
        rows.append((f"{WORDS[n % 15]} {sign} {WORDS[n * 7 % 15]} number {n}", signs[sign]))
    return rows


def build_tiny(teacher: Path, train: Path, dev: Path, out: Path, *flags: str) -> dict[str, Any]:
    arguments = ["--task", "text-classification", "--preset", "smoke", "--out", str(out)]
    arguments += ["--teacher", str(teacher), "--train-file", str(train), "--eval-file", str(dev)]
    arguments += ["--max-length", "24", "--no-distil", "--no-benchmark", *flags]
    assert build.main(arguments) == 0
    document: dict[str, Any] = json.loads((out / "report.json").read_text("utf-8"))
    return document


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, tiny_teacher: Path) -> Path:
    """A build of three classes to .onnx, the format that is made in the shortest time."""
    folder = tmp_path_factory.mktemp("classes")
    for name, count in (("train", 30), ("dev", 9)):
        rows = "".join(f"{text}\t{label}\n" for text, label in lines(count))
        (folder / f"{name}.tsv").write_text(f"text\tlabel\n{rows}")
    report = build_tiny(tiny_teacher, folder, folder, folder / "out", "--target", "onnx")
    assert [one["name"] for one in report["metrics"]] == ["accuracy", "f1"]
    return folder / "out"


def described(folder: Path, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / name).read_text("utf-8"))
    return document


def test_the_student_opens_in_transformers_with_its_classes(built: Path) -> None:
    for folder in (built / "student", built / "hub"):
        model = AutoModelForSequenceClassification.from_pretrained(folder)
        assert [model.config.id2label[n] for n in range(3)] == LABELS
        assert model.config.label2id == {label: n for n, label in enumerate(LABELS)}
        assert model.config.problem_type == "single_label_classification"
        assert model.pre_classifier.out_features == model.classifier.in_features == 32


def test_model_json_says_how_to_read_a_file(built: Path) -> None:
    model = described(built / "onnx", "model.json")
    assert model["labels"] == LABELS and model["regression"] is model["pair"] is False
    assert model["limits"] == {"max_length": 24} and model["outputs"][0]["shape"] == [-1, 3]


def test_the_file_gives_its_golden_cases(built: Path) -> None:
    predictor = open_predictor(built / "onnx" / "student-int8.onnx")
    cases = described(built / "onnx", "golden.json")["cases"]
    assert {case["text"] for case in cases} >= set(golden.UNUSUAL)
    for case in cases:
        ids = np.array([case["ids"]], np.int32)
        (logits,) = predictor.run(ids, np.ones_like(ids), np.array([case["segment_ids"]], np.int32))
        answer = case["answers"]["student-int8.onnx"]
        assert np.abs(logits - answer["logits"]).max() < 1e-3
        assert answer["label"] == LABELS[int(np.argmax(logits))]


def test_the_card_says_what_the_classes_are(built: Path) -> None:
    card = (built / "hub" / "README.md").read_text("utf-8")
    assert "pipeline_tag: text-classification" in card
    assert "It knows 3 classes" in card and 'python -m pipeline.predict . "TEXT"' in card
    report = (built / "report.md").read_text("utf-8")
    assert "question" not in report.replace("question-answering", "")


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Predicts, and gives the lines that were printed."""

    def call(*arguments: str) -> list[str]:
        assert predict.main(list(arguments)) == 0
        return capsys.readouterr().out.splitlines()

    return call


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Predicts in vain, and gives the one line of complaint."""

    def call(*arguments: str) -> str:
        assert predict.main(list(arguments)) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return call


def test_predict_prints_classes_and_probabilities(
    built: Path, said: Callable[..., list[str]]
) -> None:
    file = str(built / "onnx" / "student-int8.onnx")
    shown = said(file, "the old ship")
    assert len(shown) == 4 and {line.split()[0] for line in shown[:3]} == set(LABELS)
    (line,) = said(file, "the old ship", "--json", "--top", "2")
    found = json.loads(line)
    assert found["label"] == next(iter(found["probabilities"])) and len(found["probabilities"]) == 2
    assert found["probabilities"][found["label"]] == found["probability"]


def test_predict_opens_the_folder_of_the_student(
    built: Path, said: Callable[..., list[str]]
) -> None:
    file = json.loads(said(str(built / "onnx" / "student-int8.onnx"), "old ship", "--json")[0])
    folder = json.loads(said(str(built / "student"), "old ship", "--json")[0])
    for label, share in folder["probabilities"].items():
        assert abs(file["probabilities"][label] - share) < 0.05


def test_predict_reads_texts_from_a_file(
    built: Path, tmp_path: Path, said: Callable[..., list[str]]
) -> None:
    (tmp_path / "texts.txt").write_text('the ship\n\n{"text": "a {city}"}\n{not json}\r\n')
    found = [
        json.loads(line)
        for line in said(
            str(built / "onnx" / "student-int8.onnx"), "--texts", str(tmp_path / "texts.txt")
        )
    ]
    assert [one["text"] for one in found] == ["the ship", "a {city}", "{not json}"]
    assert all(one["label"] in LABELS for one in found)


def test_predict_refuses_in_one_line(
    built: Path, tiny_export: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    file = str(built / "onnx" / "student-int8.onnx")
    assert "give one TEXT" in refused(file)
    assert "give one TEXT" in refused(file, "a", "--texts", "b")
    assert "model is for single texts" in refused(file, "a", "b")
    assert "--top 0: at least 1" in refused(file, "a", "--top", "0")
    assert "cannot read" in refused(file, "--texts", str(tmp_path / "none.txt"))
    other = next(tiny_export.glob("*.tflite"))
    assert "is for question answering: run python -m pipeline.ask" in refused(str(other), "a")
    assert "none.tflite" in refused(str(tmp_path / "none.tflite"), "a")


def test_ask_sends_a_classifiers_file_to_predict(
    built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(built / "onnx" / "student-int8.onnx")
    assert ask.main([file, "Who?", "--context", "A text."]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "python -m pipeline.predict tries others" in said


def test_predict_refuses_a_model_json_that_no_build_wrote(
    built: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    for name in ("student-int8.onnx", "vocab.txt"):
        (tmp_path / name).write_bytes((built / "onnx" / name).read_bytes())
    model = described(built / "onnx", "model.json")
    for change, complaint in (
        ({"labels": "abc"}, "labels is 'abc', which should be a valid list"),
        ({"limits": {"max_length": "24"}}, "limits.max_length is '24'"),
        ({"task": "poetry"}, "names no task"),
        ({"limits": {}}, "limits.max_length is missing"),
    ):
        sealed.write(tmp_path / "model.json", {**model, **change})
        assert complaint in refused(str(tmp_path / "student-int8.onnx"), "a")


@pytest.mark.long
def test_pairs_and_numbers_go_to_every_format(tmp_path: Path, tiny_teacher: Path) -> None:
    for name, count in (("train", 24), ("dev", 8)):
        texts = enumerate(text for text, _ in lines(count))
        rows = "".join(f"{text}\t{WORDS[n % 15]} again\t{n % 7 / 2}\n" for n, text in texts)
        folder = tmp_path / "STS-B"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.tsv").write_text(f"sentence1\tsentence2\tscore\n{rows}")
    out = tmp_path / "out"
    report = build_tiny(
        tiny_teacher, folder, folder, out, "--target", "all", "--precision", "fp32", "int8"
    )
    assert [one["name"] for one in report["metrics"]] == ["pearsonr", "spearmanr"]
    assert len(report["files"]) == 6 and all(one["gate"]["passed"] for one in report["files"])
    model = described(out / "tflite", "model.json")
    assert model["labels"] == [] and model["regression"] is model["pair"] is True
    assert read_metadata(out / "tflite" / "student-fp32.tflite").labels == ()
    student = AutoModelForSequenceClassification.from_pretrained(out / "student")
    assert student.config.problem_type == "regression" and student.config.num_labels == 1
    assert "It gives a number for every text" in (out / "hub" / "README.md").read_text("utf-8")


@pytest.mark.long
def test_names_of_classes_lie_in_every_format(tmp_path: Path, tiny_teacher: Path) -> None:
    """With a teacher that knows the task, in an order of its own; the dev part lacks a class."""
    teacher = tmp_path / "teacher"
    model = BertForSequenceClassification.from_pretrained(
        tiny_teacher, id2label={0: "Thing", 1: "Boat", 2: "Place"}
    )
    model.save_pretrained(teacher)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (teacher / name).write_bytes((tiny_teacher / name).read_bytes())
    for name, count in (("train", 24), ("dev", 2)):
        rows = "".join(f"{text}\t{label}\n" for text, label in lines(count))
        (tmp_path / f"{name}.tsv").write_text(f"text\tlabel\n{rows}")
    out, assets = tmp_path / "out", tmp_path / "assets"
    flags = ["--target", "all", "--precision", "int8", "--android-assets", str(assets)]
    report = build_tiny(teacher, tmp_path, tmp_path, out, *flags)
    assert all(one["gate"]["passed"] for one in report["files"])
    names = ("Thing", "Boat", "Place")
    assert read_metadata(out / "tflite" / "student-int8.tflite").labels == names
    stored = coreml_package.metadata(out / "coreml" / "student-int8.mlpackage")
    assert tuple(stored["labels"].split("\n")) == names
    assert described(out / "hub", "config.json")["id2label"] == {
        str(n): name for n, name in enumerate(names)
    }
    assert described(assets, "model.json")["labels"] == list(names)
    assert len(described(assets, "texts.json")["texts"]) == 2
