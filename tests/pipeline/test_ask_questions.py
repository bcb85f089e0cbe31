# SPDX-License-Identifier: Apache-2.0
"""`pipeline.ask` for work: files of questions, several answers, their probabilities, folders."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import MakeTeacher

from converters import sealed
from pipeline import ask

PASSAGE = "The tower of rome was built by anna in 1807. Zoë painted the old bridge in oslo."
CRLF = f"\ufeffin 1807,\r\n\r\n  emma was there.\r\n{PASSAGE}\r\n"
ROWS: list[dict[str, Any]] = [
    {"id": 7, "question": "who built the tower?", "context": PASSAGE},
    {"question": "who was there?", "context": CRLF},
    {"id": "c", "question": "who painted the bridge?", "context": PASSAGE, "answers": "any"},
]
KEYS = ["id", "answer", "start", "end", "score", "probability"]


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def file(tiny_export: Path) -> str:
    return str(tiny_export / "student-fp32.tflite")


@pytest.fixture
def answered(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[dict[str, Any]]]:
    """Writes a file of questions and gives the lines that were printed; none on standard error."""

    def call(text: str | bytes, *arguments: str, said: str = "") -> list[dict[str, Any]]:
        path = tmp_path / "questions.jsonl"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        assert ask.main([file, "--questions", str(path), *arguments]) == 0
        captured = capsys.readouterr()
        assert said in captured.err and bool(captured.err) == bool(said)
        return [json.loads(line) for line in captured.out.splitlines()]

    return call


@pytest.fixture
def refused(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Asks a damaged file of questions and gives the one line of complaint."""

    def call(text: str | bytes, *arguments: str) -> str:
        path = tmp_path / "questions.jsonl"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        assert ask.main([file, "--questions", str(path), *arguments]) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.count("\n") == 1
        return captured.err

    return call


# Several answers and their probabilities


def test_the_best_answers_are_listed_and_the_first_is_the_answer(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [file, ROWS[0]["question"], "--context", PASSAGE * 4]
    assert ask.main([*map(str, arguments), "--top", "5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    answers = found["answers"]
    assert len(answers) == 5 and found["windows"] > 1
    assert len({(each["start"], each["end"]) for each in answers}) == 5
    for name in ("start", "end", "score", "probability"):
        assert answers[0][name] == found[name]
    for before, after in itertools.pairwise(answers):
        assert before["score"] >= after["score"]
        assert before["probability"] >= after["probability"] > 0
    for each in answers:
        assert each["answer"] == (PASSAGE * 4)[each["start"] : each["end"]]
    assert sum(each["probability"] for each in answers) <= 1
    assert ask.main([*map(str, arguments), "--top", "2"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"1. {answers[0]['answer']}\n") and f"2. {answers[1]['answer']}" in told
    assert told.count(", probability 0.") == 2


def test_more_answers_than_there_are_is_no_mistake(
    answered: Callable[..., list[dict[str, Any]]],
) -> None:
    rows = [{"question": "who?", "context": text} for text in ("anna", "anna built")]
    one, three = answered(lines(rows), "--top", "50")
    assert [each["answer"] for each in one["answers"]] == ["anna"]
    assert one["probability"] == 1
    assert len(three["answers"]) == 3
    assert sum(each["probability"] for each in three["answers"]) == pytest.approx(1, abs=1e-5)


def test_no_answer_is_among_the_answers_where_the_model_may_abstain(
    tiny_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(tiny_export, tmp_path / "tflite"))
    path = folder / "model.json"
    document = json.loads(path.read_text("utf-8"))
    places, probabilities = [], []
    for threshold in (-100.0, 0.0, 100.0):
        sealed.write(path, {**document, "may_abstain": True, "null_threshold": threshold})
        call = [str(folder / "student-fp32.tflite"), "who?", "--context", PASSAGE]
        assert ask.main([*call, "--top", "1000", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        texts = [each["answer"] for each in found["answers"]]
        assert texts[0] == found["text"] and texts.count("") == 1
        places.append(texts.index(""))
        probabilities.append(found["answers"][places[-1]]["probability"])
        assert sum(each["probability"] for each in found["answers"]) == pytest.approx(1, abs=1e-3)
    assert places[0] == 0 and places[0] <= places[1] <= places[2] == len(texts) - 1
    assert probabilities == sorted(probabilities, reverse=True)
    assert probabilities[0] > 0.999 and probabilities[2] < 0.001


# Files of questions


def test_each_row_gets_a_line_with_offsets_in_its_own_text(
    answered: Callable[..., list[dict[str, Any]]],
) -> None:
    found = answered(lines(ROWS))
    assert [each["id"] for each in found] == [7, "row 1", "c"]
    for row, each in zip(ROWS, found, strict=True):
        assert list(each) == KEYS
        assert each["answer"] == str(row["context"])[each["start"] : each["end"]] != ""
    top = answered(lines(ROWS), "--top", "2")
    assert [each.pop("answers")[0]["answer"] for each in top] == [each["answer"] for each in found]
    assert top == found


@pytest.mark.parametrize("form", ["list", "blank lines and a mark", "gzip", "squad", "columns"])
def test_the_forms_of_a_file_give_the_same_answers(
    form: str, answered: Callable[..., list[dict[str, Any]]]
) -> None:
    rows = [{**row, "id": str(number)} for number, row in enumerate(ROWS)]
    for row in rows:
        row.pop("answers", None)
    qas = [
        {"context": row["context"], "qas": [{"id": row["id"], "question": row["question"]}]}
        for row in rows
    ]
    files: dict[str, str | bytes] = {
        "list": json.dumps(rows, indent=1),
        "blank lines and a mark": "\ufeff" + lines(rows).replace("\n", "\r\n\r\n"),
        "gzip": gzip.compress(lines(rows).encode()),
        "squad": json.dumps({"data": [{"title": "t", "paragraphs": qas}]}),
        "columns": lines([row | {"answers": {"text": [], "answer_start": []}} for row in rows]),
    }
    assert answered(files[form]) == answered(lines(rows))


def test_questions_may_share_a_passage_and_come_from_standard_input(
    file: str,
    tmp_path: Path,
    answered: Callable[..., list[dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_bytes(CRLF.encode())
    rows = [{"id": n, "question": row["question"]} for n, row in enumerate(ROWS)]
    found = answered(lines(rows), "--context", str(notes))
    text = CRLF.removeprefix("\ufeff")  # the mark says how the file is encoded
    assert all(each["answer"] == text[each["start"] : each["end"]] != "" for each in found)
    stdin = SimpleNamespace(buffer=io.BytesIO(lines(rows).encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert ask.main([file, "--questions", "-", "--context", str(notes)]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == found


def test_questions_that_are_blank_or_cut_are_answered_and_counted(
    answered: Callable[..., list[dict[str, Any]]],
) -> None:
    rows = [
        {"question": " ", "context": PASSAGE},
        {"question": "who?", "context": " "},
        {"question": "who " * 13, "context": PASSAGE},
    ]
    blank, empty, cut = answered(lines(rows), "--top", "3", said="cut to 12 word pieces: 1")
    for each in (blank, empty):
        assert (each["answer"], each["start"], each["end"]) == ("", 0, 0)
        assert (each["probability"], len(each["answers"])) == (1, 1)
    assert cut["answer"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("[]", "no list"),
        ('{"data": []}', "contains no question"),
        (lines(ROWS[:2]) + '{"question": "who\n', "line 3"),
        (lines(ROWS[:1]) + "\n" + "who?\n", "line 3"),
        (lines(ROWS[:1]) + '"who?"\n', "row 1 is 'who?'"),
        (lines([{"context": PASSAGE}]), 'row 0 has no "question"'),
        (lines([*ROWS, {"question": "who?"}]), 'row 3 has no "context"'),
        (lines([{"question": 1, "context": PASSAGE}]), "`question`"),
        (lines([{"question": "who?", "context": ["a"]}]), "`context`"),
        (b"\xff" + lines(ROWS).encode(), "not UTF-8"),
    ],
    ids=[
        *("empty", "no-row", "no-question", "cut", "no-json", "text", "only-context"),
        *("no-context", "question-1", "context-list", "not-utf-8"),
    ],
)
def test_damaged_questions_are_refused_before_any_answer(
    text: str | bytes, word: str, refused: Callable[..., str]
) -> None:
    if word == "no list":
        word = "`data`"
    assert word in refused(text)


def test_a_passage_for_all_stands_alone(refused: Callable[..., str]) -> None:
    assert "of its own beside --context" in refused(lines(ROWS), "--context", PASSAGE)
    squad = {"data": [{"paragraphs": [{"context": PASSAGE, "qas": []}]}]}
    assert "have their own passages" in refused(json.dumps(squad), "--context", PASSAGE)


def test_lines_come_one_by_one_and_a_reader_may_leave(file: str, tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(lines(ROWS[::2] * 20_000), encoding="utf-8")
    command = [sys.executable, "-m", "pipeline.ask", file, "--questions", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        # Long before a buffer of 8 KB is full; all questions would take minutes.
        assert [json.loads(process.stdout.readline())["id"] for _ in range(2)] == [7, "c"]
        process.stdout.close()
        assert process.wait(timeout=300) == 0
        told = process.stderr.read().lower()  # LiteRT says something too
        assert not any(word in told for word in (b"error", b"traceback", b"asking", b"broken"))


# Folders


def test_a_folder_has_the_limits_of_its_build_or_of_its_positions(
    tiny_export: Path, tmp_path: Path, make_teacher: MakeTeacher
) -> None:
    own = json.loads((tiny_export / "model.json").read_text("utf-8"))["limits"]["max_length"]
    build = tmp_path / "build"
    shutil.copytree(tiny_export, build / "tflite")
    shutil.copytree(tiny_export.parent / "student", build / "student")
    shutil.copytree(tiny_export.parent / "student", build / "other")
    assert ask.describe(build / "student").limits.max_length == own
    assert ask.describe(build / "other").limits.max_length == 384
    short = make_teacher(layers=1, head="qa", max_position_embeddings=128)
    assert ask.describe(short).limits.max_length == 128
    answer = ask.open_answerer(short).answer("who?", PASSAGE * 9)
    assert answer.windows > 1 and answer.text


def test_a_model_that_answers_no_questions_is_refused(
    make_teacher: MakeTeacher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    bare = make_teacher(layers=1)
    classes = Path(shutil.copytree(bare, tmp_path / "classes"))
    sizes = BertConfig.from_pretrained(bare)
    BertForSequenceClassification(sizes).save_pretrained(classes)
    for folder, word in ((bare, "has no head for a task"), (classes, "gives logits")):
        assert ask.main([str(folder), "who?", "--context", PASSAGE]) == 2
        captured = capsys.readouterr()
        assert word in captured.err and str(folder) in captured.err
        assert captured.err.count("\n") == 1 and not captured.out
