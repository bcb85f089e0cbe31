# SPDX-License-Identifier: Apache-2.0
"""The folder for an app: whole, told of its own files alone, and never in the place of others'."""

from __future__ import annotations

import hashlib
import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import build, documents
from pipeline.ask import open_answerer
from pipeline.errors import UserError
from pipeline.files import android_assets
from pipeline.made import MADE
from pipeline.tasks.question_answering import TASK
from pipeline.tasks.question_answering.golden import questions_document
from pipeline.tasks.question_answering.squad import Question, QuestionSet, load_questions

BOTH = ("student-fp32.tflite", "student-int8.tflite")
BESIDE = ("golden.json", "model.json", "questions.json", "vocab.txt")


@pytest.fixture
def out(tiny_export: Path) -> Path:
    """The build folder: both files of one target."""
    return tiny_export.parent


@pytest.fixture
def questions(squad_file: Path) -> QuestionSet:
    return load_questions(str(squad_file), "dev")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MADE}


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("precisions", [("int8",), ("fp32",), ("fp32", "int8")])
def test_descriptions_tell_of_the_files_that_are_there(
    precisions: tuple[str, ...], out: Path, questions: QuestionSet, tmp_path: Path
) -> None:
    folder = tmp_path / "app" / "assets" / "model"
    names = [f"student-{precision}.tflite" for precision in precisions]
    written = android_assets.write(folder, out, precisions, TASK.device_files(questions))
    assert written == sorted([*names, *BESIDE]) == sorted(contents(folder))
    model, whole = read(folder / "model.json"), read(out / "tflite" / "model.json")
    assert model["default"] == names[0] and list(model["files"]) == list(precisions)
    for entry in model["files"].values():
        content = (folder / entry["path"]).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    changed = {key for key in whole if model[key] != whole[key]}
    assert model.keys() == whole.keys() and changed <= {"default", "files", "digest"}
    golden, cases = read(folder / "golden.json"), read(out / "tflite" / "golden.json")["cases"]
    for case, original in zip(golden["cases"], cases, strict=True):
        assert list(case["answers"]) == names
        assert case == original | {"answers": {n: original["answers"][n] for n in names}}
    documents.golden(folder / "golden.json")
    answerer = open_answerer(folder / names[0])
    for case in golden["cases"]:
        answer = answerer.answer(case["question"], case["context"])
        assert answer.text == case["answers"][names[0]]["text"]


def test_what_an_earlier_build_put_there_goes_and_nothing_is_left_beside(
    out: Path, questions: QuestionSet, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    android_assets.write(folder, out, ("int8", "fp32"), TASK.device_files(questions))
    for aside in (".model.partial", ".model.old"):  # as a killed build leaves them
        shutil.copytree(folder, tmp_path / aside)
    android_assets.write(folder, out, ("fp32",), TASK.device_files(questions))
    assert set(contents(folder)) == {"student-fp32.tflite", *BESIDE}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_link_is_followed(out: Path, questions: QuestionSet, tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to(tmp_path / "elsewhere")
    android_assets.write(tmp_path / "model", out, ("int8",), TASK.device_files(questions))
    assert (tmp_path / "model").is_symlink()
    assert (tmp_path / "elsewhere" / "student-int8.tflite").is_file()


def test_an_error_midway_leaves_the_old_folder(
    out: Path, questions: QuestionSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    android_assets.write(folder, out, ("int8", "fp32"), TASK.device_files(questions))
    before, copy = contents(folder), shutil.copyfile

    def failing(source: Path, target: Path) -> None:
        if source.suffix == ".tflite":
            raise OSError(28, "No space left on device")
        copy(source, target)

    monkeypatch.setattr(android_assets.shutil, "copyfile", failing)
    with pytest.raises(UserError, match=r"cannot write --android-assets .*model \(No space left"):
        android_assets.write(folder, out, ("fp32",), TASK.device_files(questions))
    assert contents(folder) == before and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "other", ["MainActivity.kt", "manifest.json", "student.tflite", "golden.json.bak", ".gitkeep"]
)
def test_a_folder_with_anything_else_is_refused(
    other: str, out: Path, questions: QuestionSet, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    android_assets.write(folder, out, ("int8",), TASK.device_files(questions))
    (folder / other).write_text("mine")
    before = contents(folder)
    with pytest.raises(UserError, match=f"holds {other}, which no build put there") as refused:
        android_assets.write(folder, out, ("fp32",), TASK.device_files(questions))
    assert "\n" not in str(refused.value) and contents(folder) == before


def test_places_where_no_folder_can_be(out: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "deep" / "vocab.txt").mkdir(parents=True)
    (tmp_path / "deep" / "vocab.txt" / "mine").touch()
    for folder, words in (
        (tmp_path / "file", "is a file: name a folder"),
        (tmp_path / "deep", "holds vocab.txt/mine, which"),
        (out, "lie in one another"),
        (out / "app", "lie in one another"),
        (out.parent, "lie in one another"),
    ):
        with pytest.raises(UserError, match=words):
            android_assets.check(folder, out)
    android_assets.check(tmp_path / "not" / "there", out)
    assert not (tmp_path / "not").exists()


# The questions


def asked(count: int, passages: int) -> QuestionSet:
    found = (
        Question(str(i), "", f"p{i % passages}", f"q{i}?", ("a", "b", "a") if i % 2 else (), ())
        for i in range(count)
    )
    return QuestionSet("dev.json", "ab", tuple(found))


def test_questions_are_told_once_with_where_they_came_from(questions: QuestionSet) -> None:
    document = questions_document(questions)
    assert document["schema_version"] == 2 and document["source"] == questions.name
    assert document["scoring"]["language"] == "en"
    assert document["scoring"]["articles"] == ["a", "an", "the"]
    assert (document["sha256"], document["available"]) == (questions.sha256, 12)
    assert document["passages"] == list(questions.passages)
    assert [
        (document["passages"][q["passage"]], q["question"], tuple(q["answers"]))
        for q in document["questions"]
    ] == [(q.context, q.text, q.answers) for q in questions.questions]
    answers = [q["answers"] for q in questions_document(asked(2, 1))["questions"]]
    assert answers == [[], ["a", "b"]]


def test_no_more_questions_than_a_benchmark_asks() -> None:
    document = questions_document(asked(2500, 600))
    numbers = [int(q["question"][1:-1]) for q in document["questions"]]
    assert len(numbers) == 1024 and document["available"] == 2500
    assert {later - n for n, later in pairwise(numbers)} == {2, 3}
    used = [q["passage"] for q in document["questions"]]
    assert set(used) == set(range(len(document["passages"])))


@given(st.integers(0, 60), st.integers(1, 60))
def test_spread_questions(there: int, most: int) -> None:
    picked = [int(q.id) for q in asked(there, 3).spread(most).questions]
    assert len(picked) == min(there, most) and picked[:1] == [0][:there]
    steps = {later - n for n, later in pairwise([*picked, there])}
    assert max(steps, default=0) - min(steps, default=0) <= 1


# The command


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--android-assets", "app", "--target", "onnx"], "add tflite to --target onnx"),
        (
            ["--android-assets", "app", "--precision", "int8", "--android-precision", "fp16"],
            "--android-precision fp16: not one of the .tflite files of this build, int8; add it",
        ),
        (["--android-precision", "int8"], "--android-precision without --android-assets"),
        (["--android-assets", "build/embedded/tflite"], "lie in one another"),
        (["--android-assets", __file__], "is a file"),
        (["--android-assets", str(Path(__file__).parent)], "which no build put there"),
    ],
)
def test_bad_flags_get_one_line_before_any_work(
    flags: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build.main([*flags, "--dry-run"]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ") and words in said and len(said.splitlines()) == 1
