# SPDX-License-Identifier: Apache-2.0
"""Questions for another implementation: their number, their passages, a file's answers."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import golden_answers
from pipeline.ask import open_answerer
from pipeline.errors import UserError
from pipeline.golden_answers import cases, joined, main
from pipeline.tasks.question_answering.squad import load_questions


def read(path: Path) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()))


def test_most_questions_keep_their_passage_and_a_fifth_get_5_to_5000_words() -> None:
    evaluation = load_questions("embedded", "dev")
    asked = list(cases(evaluation, 500))
    assert len(asked) == len(set(asked)) == 500
    known = {(q.text, q.context) for q in evaluation.questions}
    assert set(asked[:391]) == known, "all there are, for they are fewer than four fifths"
    lengths = [len(context.split()) for _, context in asked[391:]]
    assert lengths == sorted(lengths) and (lengths[0], lengths[-1]) == (5, 5000)
    ratios = [b / a for a, b in pairwise(lengths[40:])]
    assert max(ratios) < 1.1, "as many short ones as long ones"
    assert {question for question, _ in asked} == {q.text for q in evaluation.questions}


@pytest.mark.parametrize(("count", "own"), [(1, 1), (5, 4), (6, 5), (15, 12), (20, 12)])
def test_small_counts(squad_file: Path, count: int, own: int) -> None:
    evaluation = load_questions(str(squad_file), "dev")
    asked = list(cases(evaluation, count))
    assert len(asked) == count
    assert all(context in evaluation.passages for _, context in asked[:own])


@given(st.lists(st.text(), max_size=4), st.integers(1, 40))
def test_joined_passages_have_that_many_words(passages: list[str], words: int) -> None:
    if not " ".join(passages).split():
        with pytest.raises(UserError, match="without words"):
            joined(passages, words)
        return
    text = joined(passages, words)
    assert len(text.split()) == words and text == text.rstrip()
    assert "\n\n".join(passages * words).startswith(text[: len("\n\n".join(passages))])


def test_file_holds_what_the_exported_file_answers(
    tiny_export: Path, squad_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tiny_export / "student-int8.tflite", tmp_path / "answers.json.gz"
    asked = [str(file), "--eval-file", str(squad_file), "--count", "15", "--out", str(out)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(golden_answers, "LONGEST", 80)
        assert main(asked) == 0
        first = out.read_bytes()
        assert main(asked) == 0
    assert out.read_bytes() == first, "the same bytes every time"
    assert f"{out}: 15 questions, passages of 5 to 80 words" in capsys.readouterr().out
    answerer, document = open_answerer(file), read(out)
    assert (document["schema_version"], len(document["cases"])) == (2, 15)
    for case in document["cases"]:
        answer = answerer.answer(case["question"], case["context"])
        ((name, kept),) = case["answers"].items()
        assert name == file.name and case["window_count"] == answer.windows
        assert (kept["text"], kept["start"], kept["end"]) == (
            *(answer.text, answer.start, answer.end),
        )
    assert [path.name for path in tmp_path.iterdir()] == ["answers.json.gz"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--count", "0"], "--count 0: at least 1"),
        (["--eval-file", "no.json"], "no data file no.json"),
        (["--eval-file", "{lost}"], "give --empty-answers unanswerable"),
        (["--eval-file", "{lost}", "--empty-answers", "drop"], "holds no usable question"),
        (["--out", "/proc/no/answers.json.gz"], "cannot write /proc/no/answers.json.gz"),
    ],
)
def test_bad_input_gets_one_line(
    flags: list[str],
    words: str,
    tiny_export: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lost = tmp_path / "lost.json"
    answer = {"text": "", "answer_start": 0}
    row = {"id": "a", "question": "who?", "context": "anna built it.", "answers": [answer]}
    lost.write_text(json.dumps([row]), encoding="utf-8")
    flags = [flag.format(lost=lost) for flag in flags]
    assert main([str(tiny_export / "student-int8.tflite"), "--count", "1", *flags]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: ") and words in said
