# SPDX-License-Identifier: Apache-2.0
"""A student whose tokenizer has added tokens, from its folder to the files and back to answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import WIDTH
from tokenizers import AddedToken
from transformers import AutoTokenizer, DistilBertConfig, DistilBertForQuestionAnswering

from pipeline import ask
from pipeline.build import main

Save = Callable[..., Path]
TOKENS = (
    *("e-mail", "tower", "\n"),
    AddedToken("[Q]", special=True, normalized=False),
    AddedToken("Köln", single_word=True, rstrip=True),
)
# Beyond the vocabulary come all but "tower", which it holds.
NEW = len(TOKENS) - 1


@pytest.fixture
def save(tiny_teacher: Path, tmp_path: Path) -> Save:
    """Gives `save(tokens, rows=0)`: a DistilBERT with so many rows fewer than its tokenizer."""

    def folder(tokens: Any, rows: int = 0) -> Path:
        tokenizer = AutoTokenizer.from_pretrained(tiny_teacher)
        tokenizer.add_tokens(list(tokens))
        torch.manual_seed(4)
        sizes = {"dim": WIDTH, "n_heads": 2, "hidden_dim": 2 * WIDTH, "n_layers": 2}
        config = DistilBertConfig(vocab_size=len(tokenizer) - rows, **sizes)
        model = DistilBertForQuestionAnswering(config)
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn(weight.shape), alpha=0.15)
        path = tmp_path / "mine"
        model.save_pretrained(path)
        tokenizer.save_pretrained(path)
        return path

    return folder


def build(student: Path, questions: Path, out: Path) -> int:
    return main(
        [
            *("--preset", "smoke", "--student", str(student), "--eval-file", str(questions)),
            *("--target", "tflite", "--precision", "fp32", "--no-benchmark", "--out", str(out)),
            *("--max-length", "128", "--max-query", "16", "--stride", "16", "--golden-cases", "2"),
            *("--hardware.no-progress", "--android-assets", str(out.parent / "app")),
        ]
    )


@pytest.mark.long
def test_the_files_find_the_tokens_as_the_student_does(
    save: Save, squad_file: Path, tmp_path: Path
) -> None:
    student, out = save(TOKENS), tmp_path / "out"
    assert build(student, squad_file, out) == 0
    tokenizer = AutoTokenizer.from_pretrained(student)

    document = json.loads((tmp_path / "app" / "model.json").read_text(encoding="utf-8"))
    added = {entry["content"]: entry for entry in document["tokenizer"]["added"]}
    assert {content: entry["id"] for content, entry in added.items()} == {
        str(token): tokenizer.convert_tokens_to_ids(str(token)) for token in TOKENS
    }
    assert [content for content, entry in added.items() if entry["word_piece"]] == ["tower"]
    lines = (tmp_path / "app" / "vocab.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == document["tokenizer"]["size"] == len(tokenizer)
    assert set(lines[-NEW:]) == {"e-mail", "\\n", "[Q]", "Köln"}

    golden = json.loads((tmp_path / "app" / "golden.json").read_text(encoding="utf-8"))
    ids = {place for case in golden["cases"] for place in case["windows"][0]["ids"]}
    assert {entry["id"] for entry in added.values()} <= ids

    answerer = ask.open_answerer(out / "tflite" / "student-fp32.tflite")
    question, passage = "What of [Q]?", "An E-Mail of köln  \nand kölner towers, [Q]tower [MASK]."
    window = answerer.run(question, passage).inputs[0]
    expected = tokenizer(question, passage, return_offsets_mapping=True)
    assert window.ids.tolist() == expected["input_ids"]
    places = expected["offset_mapping"][window.first : window.stop]
    assert [tuple(pair) for pair in window.offsets.tolist()] == places


@pytest.mark.parametrize(
    ("tokens", "rows", "words"),
    [
        (TOKENS, NEW, "train it after model.resize_token_embeddings(len(tokenizer))"),
        (TOKENS, NEW + 1, "config.json, weights and tokenizer belong to different models"),
        (("Rome-1", "ROME-1"), 0, "'Rome-1' and 'ROME-1' are the same once they are normalized"),
    ],
    ids=["no rows", "another model", "ambiguous"],
)
def test_tokens_that_cannot_be_kept_are_refused_in_one_line(
    save: Save,
    squad_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tokens: Any,
    rows: int,
    words: str,
) -> None:
    student = save(tokens, rows)
    capsys.readouterr()  # of saving
    assert build(student, squad_file, tmp_path / "out") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and words in line
