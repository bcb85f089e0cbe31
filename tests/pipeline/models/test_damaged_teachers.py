# SPDX-License-Identifier: Apache-2.0
"""Teachers whose files say what no memory, no patience and no line of a terminal can hold."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from model_folders import copied, model, settings, tensors
from transformers import BertForQuestionAnswering

from converters import ConversionError, ExpectedError
from converters.pretrained import load_config
from pipeline.ask import open_answerer
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


def a_shard_twice(folder: Path) -> None:
    shutil.copy(folder / "model.safetensors", folder / "model-1.safetensors")
    (folder / "model.safetensors").rename(folder / "model-2.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def a_head_of(*shape: int) -> Callable[[Path], None]:
    def edit(stored: dict[str, Any]) -> dict[str, Any]:
        return stored | {"qa_outputs.weight": torch.zeros(shape)}

    return lambda folder: tensors(folder, edit)


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
    "shard in two": (a_shard_twice, "model-2.safetensors and another file both have the weights"),
    "integer": (settings(layer_norm_eps=10**400), "layer_norm_eps 1000.*, expected a positive"),
    "outputs": (settings(num_labels=2**17), "num_labels 131072, expected 1 to 65,536"),
    "names of outputs": (
        settings(id2label={"1": "a", "2": "b"}),
        "does not name the outputs 0 to 1",
    ),
    "half a name": (settings(id2label={"0": "a", "1": "\ud800"}), "no file can hold"),
    "head without columns": (a_head_of(2**17, 0), r"qa_outputs.weight has shape \(131072, 0\)"),
    "pipe": (lambda folder: os.mkfifo(folder / "added_tokens.json"), "a pipe or a device"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher") / "whole"
    model(BertForQuestionAnswering, num_hidden_layers=1)(folder)
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
    settings(num_hidden_layers=1, num_labels=2**17)(folder)
    with pytest.raises(ConversionError, match="131072 outputs, at most 65,536 can be"):
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


def asked(folder: Path) -> str:
    """What `pipeline.ask` says of a folder; empty where it answers."""
    try:
        open_answerer(folder).run("Who built the tower?", "Anna built the tower in Rome.")
    except ExpectedError as error:
        assert "\n" not in str(error)
        return str(error)
    return ""


FORMS: dict[str, dict[str, Any]] = {
    "tuples": {"return_dict": False},
    "chunks": {"chunk_size_feed_forward": 7},
    "everything": {"output_attentions": True, "output_hidden_states": True},
    "half": {"dtype": "float16"},
}


@pytest.mark.parametrize("name", FORMS)
def test_settings_of_the_outputs_change_no_answer(name: str, whole: Path, tmp_path: Path) -> None:
    folder = copied(whole, tmp_path / "mine")
    settings(**FORMS[name])(folder)
    one, other = (open_answerer(place) for place in (whole, folder))
    answers = [each.run("Who built?", "Anna built the tower.").outputs for each in (one, other)]
    for mine, theirs in zip(answers[0][0], answers[1][0], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_folder_that_does_not_fit_itself_is_one_line(whole: Path, tmp_path: Path) -> None:
    assert asked(whole) == ""
    folder = copied(whole, tmp_path / "odd")
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text("utf-8"))
    pieces: dict[str, int] = document["model"]["vocab"]
    pieces["anna"] = pieces.pop(max(pieces, key=lambda piece: pieces[piece])) + 500
    path.write_text(json.dumps(document), encoding="utf-8")
    assert asked(folder)
    folder = copied(whole, tmp_path / "bare")
    settings("tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")(folder)
    settings("tokenizer.json", normalizer=None)(folder)
    assert "an app needs BERT's own" in asked(folder)


def test_names_of_outputs_are_in_the_order_of_the_outputs(whole: Path, tmp_path: Path) -> None:
    folder = copied(whole, tmp_path / "mine")
    settings(id2label={"1": "b", "0": "a"}, label2id={"a": 0, "b": 1})(folder)
    assert list(load_config(folder).id2label.values()) == ["a", "b"]


def test_a_tokenizer_that_no_description_can_hold_is_refused(whole: Path) -> None:
    tokenizer = load_tokenizer(whole)
    tokenizer.backend_tokenizer.model.max_input_chars_per_word = 2**21
    with pytest.raises(UserError, match="max_input_chars_per_word 2097152: at most 1,048,576"):
        describe_tokenizer(tokenizer)
    tokenizer = load_tokenizer(whole)
    tokenizer.add_tokens(["a" * 1001])
    with pytest.raises(UserError, match="of 1,001 characters: expected 1 to 1,000"):
        describe_tokenizer(tokenizer)
