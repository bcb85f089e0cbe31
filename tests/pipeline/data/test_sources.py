# SPDX-License-Identifier: Apache-2.0
"""What is read of files from outside is bounded: what gzip unpacks to, how deep JSON nests."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import predict
from pipeline.data import sources
from pipeline.errors import UserError
from pipeline.tasks.question_answering.asked import read_asked
from pipeline.tasks.question_answering.squad import load_questions
from pipeline.tasks.text_classification.data import load_texts
from pipeline.tasks.text_classification.settings import TextData

# Each takes the file that it reads.
READERS: dict[str, Callable[[Path], object]] = {
    "dev": lambda path: load_questions(str(path), "dev"),
    "train": lambda path: load_questions(str(path), "train"),
    "asked": lambda path: read_asked(path.read_bytes(), path.name),
    "texts": lambda path: load_texts(TextData(eval_file=str(path)), "dev"),
}
ROW = {"id": "a", "question": "Who?", "context": "Anna came.", "text": "a", "label": "b"}
ROW |= {"answers": {"text": ["Anna"], "answer_start": [0]}}
FIRST = f"{json.dumps(ROW)}\n".encode()


def test_gzip_is_unpacked_whole_with_all_its_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_STEP", 3)
    packed = b"".join(gzip.compress(part, mtime=0) for part in (b"one", b" two ", b""))
    assert sources.unpacked(packed + bytes(9), "a.gz") == b"one two "
    monkeypatch.setattr(sources, "LARGEST_UNPACKED", 8)
    assert sources.unpacked(packed, "a.gz") == b"one two "
    with pytest.raises(UserError, match="damaged gzip file"):
        sources.unpacked(packed[:-3], "a.gz")


@pytest.mark.parametrize("name", READERS)
def test_a_gzip_file_that_unpacks_to_too_much_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "LARGEST_UNPACKED", 10_000)
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(FIRST * 10, mtime=0))
    READERS[name](path)
    path.write_bytes(gzip.compress(FIRST + b" " * 10_000_000, mtime=0))
    with pytest.raises(UserError, match="unpacks to more than 10,000 bytes") as caught:
        READERS[name](path)
    assert "\n" not in str(caught.value)


SHAPES = {"lists": (b"[", b"]"), "objects": (b'{"a":', b"}")}
FORMS: dict[str, Callable[[bytes], bytes]] = {
    "whole": lambda deep: deep,
    "row": lambda deep: FIRST + deep,
    "value": lambda deep: FIRST + b'{"question": "Who?", "context": "Anna", "text": ' + deep + b"}",
    "list": lambda deep: b"[" + FIRST + b"," + deep + b"]",
    "latin-1": lambda deep: b'{"title": "\xe9", "data": ' + deep + b"}",
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", READERS)
def test_deep_nesting_is_refused_in_a_line(
    name: str, form: str, shape: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    opens, closes = SHAPES[shape]
    for depth in (500, 5_000, 100_000):
        path.write_bytes(FORMS[form](opens * depth + b"1" + closes * depth))
        message = None
        try:
            READERS[name](path)
        except UserError as error:
            message = str(error)
            assert "\n" not in message and len(message) < 500
        assert message or depth == 500  # what is parsed may lie where nobody looks
    assert message and (form not in ("row", "value") or "line 2" in message)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_deep_line_to_classify_is_refused_in_one_line(shape: str, tmp_path: Path) -> None:
    opens, closes = SHAPES[shape]
    path = tmp_path / "a.txt"
    path.write_bytes(b'{"text": ' + opens * 100_000 + b"1" + closes * 100_000 + b"}\n")
    with pytest.raises(UserError, match="line 1 is damaged JSON") as caught:
        list(predict._read_texts(str(path), False))
    assert "\n" not in str(caught.value)
