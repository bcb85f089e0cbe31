# SPDX-License-Identifier: Apache-2.0
"""Classes by the Task Library and MediaPipe: equal predictions, causes, and the real libraries."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from class_files import LABELS, dev_texts, write_files
from repository import ROOT

from converters.compat import environments, matrix
from converters.compat.cases import read_cases
from converters.compat.environments import CLASSIFIERS, RUNTIMES, missing
from converters.compat.matrix import _runtimes, examine, several_lengths
from converters.tflite import file as tflite_file
from converters.tflite.metadata import read_metadata
from pipeline import task_library
from pipeline.library_classes import _cause, equal
from pipeline.predict import open_classifier
from pipeline.tasks.text_classification.data import Text
from pipeline.tasks.text_classification.evaluate import Classifier, Prediction

COUNT = 40
# Answers as worker.py does, from a file of labels, and of scores by text.
FAKE = """
import json, sys
said = json.load(open(sys.argv[1]))
for line in sys.stdin:
    request = json.loads(line)
    reply = {"runtime": "fake"}
    if "text" in request:
        reply = {"labels": said["labels"], "scores": said["scores"][request["text"]], "ms": 1}
    print(json.dumps(reply), flush=True)
"""


@pytest.fixture(scope="module")
def files(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A tiny classifier of at most 48 word pieces as an fp32 and an int8 file."""
    out = tmp_path_factory.mktemp("classes")
    return write_files(out, tokenizer, "tflite", ("fp32", "int8"), max_length=48)


@pytest.fixture
def said(files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Our logits for 40 texts at full length, and a worker that says what `say` writes of them."""
    script = tmp_path / "fake.py"
    script.write_text(FAKE)
    answers = str(tmp_path / "said.json")
    monkeypatch.setattr(environments, "missing", lambda runtime, root: "")
    monkeypatch.setattr(
        environments, "command", lambda runtime, root: [sys.executable, str(script), answers]
    )
    own = open_classifier(files[0])
    reader = Classifier(own.model, own.tokenizer, 512, own.traits)
    texts = dev_texts().limited(COUNT).examples
    scores = {one.text: reader.read(one).outputs[0][0].tolist() for one in texts}
    return {"labels": list(LABELS), "scores": scores}


def run(said: dict[str, Any], folder: Path, *files: Path) -> int:
    """The exit code of the command on 40 texts, of a library that says this."""
    (folder / "said.json").write_text(json.dumps(said))
    return task_library.main([*map(str, files), "--max-eval", str(COUNT)])


def test_equal_predictions_are_counted(
    said: dict[str, Any], files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(said, tmp_path, files[0]) == 0
    out = capsys.readouterr().out
    assert "student-fp32.tflite in Task Library 0.4.4: 40 texts, 40 of them plain ASCII" in out
    assert "student-fp32.tflite in MediaPipe 1.2.3: 40 texts" in out
    assert out.count("by its rules: 40 of 40 equal, 100.0 %") == 2
    assert "logits differ from ours by up to 0\n" in out and "differ:" not in out
    # By our rules alone they are cut, for a piece is little more than a character.
    assert "by our rules: 40 of 40 equal" not in out


def test_a_difference_without_a_cause_fails_beyond_three_percent(
    said: dict[str, Any], files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = list(said["scores"])[:2]
    said["scores"][first] = (-np.array(said["scores"][first])).tolist()
    assert run(said, tmp_path, files[0]) == 0
    out = capsys.readouterr().out
    assert "by its rules: 39 of 40 equal, 97.5 %" in out
    assert "1 differ: unexplained\n" in out and f"    {first[:60]}" in out
    said["scores"][second] = (-np.array(said["scores"][second])).tolist()
    assert run(said, tmp_path, files[0]) == 1


def test_a_library_that_is_too_old_is_not_run(
    said: dict[str, Any], files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(said, tmp_path, files[1])
    out = capsys.readouterr().out
    assert (
        "student-int8.tflite in Task Library 0.4.4: not run, it carries TensorFlow Lite 2.12.0, "
        "and the file needs 2.17.0\n" in out
    )
    assert "student-int8.tflite in MediaPipe 1.2.3: 40 texts" in out


def test_mediapipe_does_not_run_a_file_with_several_lengths(
    files: list[Path], tmp_path: Path
) -> None:
    model = tflite_file.read(files[0])
    model.subgraphs.append(model.subgraphs[0])
    file = tflite_file.write(model, tmp_path / "two.tflite")
    library, mediapipe = CLASSIFIERS
    assert several_lengths(mediapipe, file).startswith("it takes a single graph")
    assert several_lengths(library, file) == several_lengths(mediapipe, files[0]) == ""


def test_other_classes_are_one_line(
    said: dict[str, Any], files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said["labels"][0] = "other"
    assert run(said, tmp_path, files[0]) == 2
    error = capsys.readouterr().err
    assert "Task Library 0.4.4 names the classes other, delivery" in error
    assert error.count("\n") == 1


def test_texts_or_files_that_do_not_fit_are_one_line(
    said: dict[str, Any], files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = tmp_path / "texts.jsonl"
    for rows, told in (
        ([{"text": "a", "label": "x"}, {"text": "b", "label": "praise"}], "the label 'x'"),
        (
            [{"sentence1": "a", "sentence2": "b", "label": "praise"}],
            "Task Library 0.4.4 reads single texts",
        ),
    ):
        texts.write_text("".join(json.dumps(row) + "\n" for row in rows))
        assert task_library.main([str(files[0]), "--eval-file", str(texts)]) == 2
        error = capsys.readouterr().err
        assert told in error and error.count("\n") == 1
    assert task_library.main([str(texts)]) == 2
    assert "texts.jsonl is no .tflite file" in capsys.readouterr().err


def test_a_missing_library_is_one_line(
    files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert task_library.main([str(files[0]), "--environments", str(tmp_path)]) == 2
    assert "Task Library 0.4.4 is not installed: " in capsys.readouterr().err


def test_the_file_says_what_the_libraries_look_up(files: list[Path]) -> None:
    for file in files:
        found = read_metadata(file)
        assert [name for name, _ in found.inputs] == ["ids", "mask", "segment_ids"]
        assert [name for name, _ in found.outputs] == ["probability"]
        assert found.labels == LABELS


@pytest.mark.parametrize(
    ("text", "error", "cause"),
    [
        ("Grüße", 1.0, "not ASCII: "),
        ("a\x07b", 1.0, "a control character: "),
        ("a [SEP] b", 1.0, "a special piece such as [SEP]"),
        ("tab\tand line\r\n", 0.1, "a near tie, the logits differ by up to 0.1"),
        ("plain", 0.3, "unexplained, the logits differ by up to 0.3"),
    ],
    ids=["accents", "control", "special", "near", "unexplained"],
)
def test_causes(tokenizer: Any, text: str, error: float, cause: str) -> None:
    assert _cause(text, tokenizer, error, 0.2).startswith(cause)


def test_equal_classes_have_nearly_the_same_probability() -> None:
    one = Prediction(("a", "b"), (0.9, 0.1))
    assert equal(one, Prediction(("a", "b"), (0.89, 0.11)))
    assert not equal(one, Prediction(("a", "b"), (0.8, 0.2)))
    assert not equal(one, Prediction(("a", "b"), (0.1, 0.9))) and not equal(one, None)
    number = Prediction((), value=2.0, range=5.0)
    assert equal(number, Prediction((), value=2.05, range=5.0))
    assert not equal(number, Prediction((), value=2.2, range=5.0))


def test_the_matrix_runs_a_classifier_on_its_golden_texts(
    files: list[Path], tmp_path: Path
) -> None:
    file = files[0]
    cases = read_cases(file, 24)
    assert len(cases) == 24 and all(case.text.isascii() for case in cases[:10])
    # Cut texts are as long as the longest input; a library that cuts otherwise is not run on them.
    assert {case.complete for case in cases} == {False, True}
    (row,) = examine(file, RUNTIMES[:1], tmp_path)
    assert row.verdict == "right" and row.equal == (24, 24) and row.error == 0
    assert row.golden_error is not None and row.golden_error < 1e-3
    names = [runtime.name for runtime in _runtimes(file)]
    assert "MediaPipe 1.2.3" in names and not any("arm64" in name for name in names)


def test_the_matrix_runs_text_libraries_on_plain_texts(
    said: dict[str, Any], files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrix, "missing", lambda runtime, root: "")
    real = matrix.command
    fake = environments.command
    monkeypatch.setattr(
        matrix,
        "command",
        lambda runtime, root: (fake if runtime in CLASSIFIERS else real)(runtime, root),
    )
    cases = [case for case in read_cases(files[0], 24) if case.text]
    logits = {case.text: case.golden[files[0].name][0].tolist() for case in cases}
    for scores, right in ((logits, True), ({k: v[::-1] for k, v in logits.items()}, False)):
        (tmp_path / "said.json").write_text(json.dumps(said | {"scores": scores}))
        _, *rows = examine(files[0], (RUNTIMES[0], *CLASSIFIERS), tmp_path)
        assert [row.failed for row in rows] == [not right] * 2
        assert all(row.resizes is None and row.equal is not None for row in rows)


@pytest.mark.long
@pytest.mark.parametrize("runtime", CLASSIFIERS, ids=["task-library", "mediapipe"])
def test_the_real_libraries_predict_as_we_do(
    runtime: environments.Runtime, files: list[Path], tmp_path: Path
) -> None:
    from pipeline.library_classes import compare

    if reason := missing(runtime, ROOT / ".compat"):
        pytest.skip(f"{runtime.name}: {reason}")
    texts = dev_texts()
    plain = [*texts.examples, Text("two  words,\ttabs - and $5.00's.", None, "payment")]
    long = Text("x " * 600, None, "praise")
    other = [Text("Grüße aus Köln", None, "praise"), Text("", None, "praise"), long]
    for file in files if runtime.name.startswith("MediaPipe") else files[:1]:
        found = compare(file, replace(texts, examples=(*plain, *other)), runtime, ROOT / ".compat")
        same = [equal(each.ours, each.theirs) for each in found[: len(plain)]]
        assert np.mean(same) >= 0.97
        assert not any("unexplained" in each.cause for each in found)
        assert found[-1].theirs is None and found[-1].cause.endswith("this has 602")
        assert found[-2].cause == ""
