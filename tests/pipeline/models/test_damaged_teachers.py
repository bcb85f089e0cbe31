# SPDX-License-Identifier: Apache-2.0
"""Teachers whose files say what no memory, no patience and no line of a terminal can hold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from model_folders import model, settings
from transformers import BertForQuestionAnswering

from converters import ConversionError
from converters.pretrained import load_config
from pipeline.errors import UserError
from pipeline.files.tokenizer import describe_tokenizer
from pipeline.models.heads import SPAN_HEAD
from pipeline.models.teacher import load_tokenizer, look


def an_id_beyond(folder: Path) -> None:
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text("utf-8"))
    pieces: dict[str, Any] = document["model"]["vocab"]
    pieces[max(pieces, key=lambda piece: pieces[piece])] = 2**31
    path.write_text(json.dumps(document), encoding="utf-8")


def a_shard_of(name: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "model-1.safetensors")
        index = {"weight_map": {"a": name, "b": "model-1.safetensors"}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    return change


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "layers": (settings(num_hidden_layers=2**31), "num_hidden_layers 2147483648, .* most 1,000"),
    "rows": (settings(vocab_size=10**30), r"vocab_size 1000.*, expected at most 16,777,216"),
    "text": (settings(num_attention_heads="a" * 3000), r"num_attention_heads 'a{50,60}\.\.\., exp"),
    "dtype": (settings(dtype="a" * 3000), r"cannot be used \(module"),
    "id": (an_id_beyond, r"has 2147\d+ ids that no piece has, such as \d+"),
    "line break": (a_shard_of("\n"), r"it names '\\n', which can be no file here"),
    "shard of 3,000 letters": (
        a_shard_of("a" * 3000),
        r"it names 'a{50,60}\.\.\., which can be no",
    ),
    "shard elsewhere": (a_shard_of("../a"), r"it names '../a', which can be no file here"),
    "shard of a number": (a_shard_of(1), "is damaged"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher") / "whole"
    model(BertForQuestionAnswering, num_hidden_layers=1)(folder)
    return folder


def copied(whole: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in whole.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_refused_soon_and_in_short_lines(name: str, whole: Path, tmp_path: Path) -> None:
    folder = copied(whole, tmp_path / "mine")
    damage, said = DAMAGES[name]
    damage(folder)
    problems = look(str(folder), SPAN_HEAD, None, role="teacher").problems
    assert all(line.isprintable() and len(line) < 600 for line in problems)
    assert any(re.search(said, line) for line in problems), problems


def test_as_many_layers_are_refused_where_nobody_judges(whole: Path, tmp_path: Path) -> None:
    folder = copied(whole, tmp_path / "mine")
    settings(num_hidden_layers=2**31)(folder)
    with pytest.raises(ConversionError, match="2147483648 layers, at most 1,000 are supported"):
        load_config(folder)


@pytest.mark.parametrize(
    ("piece", "said"),
    [(None, "names no piece for unknown: save it again"), ("", "has no id for '', which it names")],
    ids=["none", "empty"],
)
def test_a_tokenizer_without_a_special_piece_is_refused(
    piece: str | None, said: str, whole: Path, tmp_path: Path
) -> None:
    folder = copied(whole, tmp_path / "mine")
    settings("tokenizer_config.json", unk_token=piece)(folder)
    with pytest.raises(UserError, match=said):
        describe_tokenizer(load_tokenizer(folder))
