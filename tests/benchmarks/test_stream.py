# SPDX-License-Identifier: Apache-2.0
"""The speed of streamed text: what is counted, and the document that says it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import tokens
from benchmarks.measure.stream_schema import Part, validate
from benchmarks.stream import main
from benchmarks.tokens import LOADER, MASKING, TOKENIZING, bound, cautions, documents_of
from pipeline.data.corpus import load_corpus
from pipeline.data.pieces import REMEMBERED


def test_documents_have_some_paragraphs_each() -> None:
    assert documents_of(["abc", "de", "f", "ghij", "k"], 5) == ["abc\n\nde", "f\n\nghij", "k"]
    assert documents_of(["abcdef"], 5) == ["abcdef"] and documents_of([], 5) == []


def test_tokens_are_counted_once(tokenizer: Any, text_file: Path) -> None:
    documents = documents_of(load_corpus([str(text_file)]).paragraphs)
    given = tokens.material(tokenizer, documents, 16, 4, 0.01, 1)
    assert given.tokens == sum(len(sample) for sample in given.samples)
    for remembered in (0, REMEMBERED):
        assert tokens.tokenizing(given, remembered)["tokens"] == given.tokens
    assert tokens.masking(given)["tokens"] > 0
    span = tokens.loading(given, REMEMBERED, 0)
    assert span["tokens"] % 4 == 0 and span["tokens"] > 0 and span["seconds"] >= 0.01


def part(name: str, speed: float, **more: Any) -> Part:
    found: Any = {"name": name, "workers": None, "remembers": None, "tokens_per_second": speed}
    return {**found, "rounds": [{"tokens": 300, "seconds": 1.0}], **more}


def test_the_cores_bound_what_a_loader_can_do() -> None:
    parts = [
        part(TOKENIZING, 4e6, remembers=True),
        part(TOKENIZING, 1e6, remembers=False),
        part(MASKING, 1e6),
    ]
    # 0.25 and 1 microseconds a token
    assert bound(parts, 2) == pytest.approx(1.6e6)
    assert cautions(parts, 100) == [], "what runs alone reads the text once"
    (line,) = cautions([*parts, part(LOADER, 1e6, workers=2, remembers=True)], 100)
    assert "read the text 3.0 times" in line


def test_the_command_writes_a_checked_document(
    tiny_teacher: Path, text_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "stream.json"
    flags = ["--teacher", str(tiny_teacher), "--text", str(text_file), "--length", "16"]
    flags += ["--batch-size", "2", "--seconds", "0.02", "--rounds", "1", "--workers", "0", "1"]
    assert main([*flags, "--out", str(out)]) == 0
    found = json.loads(out.read_text("utf-8"))
    validate(found)
    with pytest.raises(ValueError, match="length: got 'two', must be an integer"):
        validate({**found, "length": "two"})
    assert str(tmp_path) not in out.read_text("utf-8"), "no folder of this machine"
    assert [(one["name"], one["workers"], one["remembers"]) for one in found["parts"]] == [
        (TOKENIZING, None, True),
        (TOKENIZING, None, False),
        (MASKING, None, None),
        *((LOADER, workers, remembers) for workers in (0, 1) for remembers in (True, False)),
    ]
    printed = capsys.readouterr().out
    assert "words remembered" in printed and "a text that is read once" in printed


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--out", "."], "--out . cannot be written: name a file"),
        (["--length", "2"], "--length 2: at least 3"),
        (["--batch-size", "100000"], "lower --batch-size"),
    ],
    ids=["folder", "length", "batch"],
)
def test_mistakes_are_refused_in_a_line(
    flags: list[str],
    message: str,
    tiny_teacher: Path,
    text_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--teacher", str(tiny_teacher), "--text", str(text_file), *flags]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
