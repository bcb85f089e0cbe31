# SPDX-License-Identifier: Apache-2.0
"""A folder of a model is read from the files that are checked: nothing in it names others."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_folders import copied, model, settings, vocabulary_of
from safetensors.torch import load_file, save_file
from transformers import BertForQuestionAnswering

from converters import ExpectedError
from converters.pretrained import load_config
from pipeline.ask import open_answerer
from pipeline.errors import UserError
from pipeline.files.tokenizer import describe_tokenizer
from pipeline.models.heads import SPAN_HEAD
from pipeline.models.teacher import load_tokenizer, look

ADAPTER = {"peft_type": "LORA", "base_model_name_or_path": "x", "r": 4, "target_modules": ["query"]}


@pytest.fixture(scope="module", params=["json", "txt"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT that answers, with tokenizer.json or with vocab.txt alone."""
    folder = tmp_path_factory.mktemp("model") / request.param
    model(BertForQuestionAnswering, num_hidden_layers=1, tokenizer=request.param)(folder)
    return folder


def others(folder: Path, name: str) -> None:
    """Other weights of the same shapes."""
    weights = load_file(folder / "model.safetensors")
    save_file({key: -value for key, value in weights.items()}, folder / name, {"format": "pt"})


def elsewhere(folder: Path) -> None:
    others(folder, "other.safetensors")
    settings(transformers_weights="other.safetensors")(folder)


def a_part(folder: Path) -> None:
    others(folder, "shard-00000-model-00000-of-00001.safetensors")


def an_adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text(json.dumps(ADAPTER))
    (folder / "adapter_model.bin").write_bytes(b"a pickle")


def a_key_twice(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(path.read_text().replace("{", '{"hidden_act": "relu",', 1))


def pieces_of_another(folder: Path) -> None:
    """transformers would take the path for the file of the pieces."""
    others = folder / "others.txt"
    others.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"vocab": str(others)}))


def too_large(folder: Path) -> None:
    """Python takes such a number for infinity, and every state would become 0."""
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"layer_norm_eps": 1e-12', '"layer_norm_eps": 1e400'))


def half(folder: Path) -> None:
    """Every word that is cut off would be unknown."""
    pieces = vocabulary_of()[:60]
    if not (folder / "tokenizer.json").is_file():
        (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces))
        return
    document = json.loads((folder / "tokenizer.json").read_text())
    document["model"]["vocab"] = {piece: place for place, piece in enumerate(pieces)}
    (folder / "tokenizer.json").write_text(json.dumps(document))


def a_template_of_nobody(folder: Path) -> None:
    (folder / "additional_chat_templates").mkdir()
    os.mkfifo(folder / "additional_chat_templates" / "tool.jinja")


def of_holes(name: str, size: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).touch()
        os.truncate(folder / name, size)

    return change


def named(folder: Path) -> None:
    names = {"fast_tokenizer_files": ["tokenizer.4.0.0.json", "../tokenizer.5.0.0.json"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "other weights": (elsewhere, "transformers_weights 'other.safetensors': save the model again"),
    "weights of a number": (settings(transformers_weights=5), "transformers_weights 5: save"),
    "part of a checkpoint": (a_part, "holds shard-.*, a part of a distributed checkpoint"),
    "relative positions": (settings(position_embedding_type="relative_key"), "'relative_key', wh"),
    "quantized": (settings(quantization_config={"quant_method": "torchao"}), "a quantization_conf"),
    "key twice": (a_key_twice, "config.json"),
    "pipe below": (a_template_of_nobody, r"tool\.jinja'? ?is a pipe or a device|a pipe or a dev"),
    "holes": (of_holes("config.json", 2**40), "1,099,511,627,776 bytes, and no model's has more|"),
    "vocabulary of holes": (
        of_holes("vocab.txt", 2**40),
        "no (vocabulary|model.s) has more than 268,435,",
    ),
    "too large a number": (too_large, "config.json"),
    "half a vocabulary": (half, "rows, far more: the vocabulary is cut off; fetch it again"),
    "weights of holes": (of_holes("model.safetensors", 2**43), "more than this machine's memory"),
    "other tokenizer": (named, "would be read from .*: remove its key fast_tokenizer_files"),
    "other pieces": (pieces_of_another, "would be read from '/.*: remove its key vocab"),
}


def said_by_ask(folder: Path) -> str:
    with pytest.raises(ExpectedError) as caught:
        open_answerer(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", DAMAGES)
def test_what_names_other_files_is_refused(name: str, whole: Path, tmp_path: Path) -> None:
    folder = copied(whole, tmp_path / "mine")
    damage, said = DAMAGES[name]
    damage(folder)
    problems = look(str(folder), SPAN_HEAD, None, role="teacher").problems
    assert any(re.search(said, line) for line in problems), problems
    assert re.search(said, said_by_ask(folder))


def test_an_adapter_beside_a_model_changes_no_answer_unseen(whole: Path, tmp_path: Path) -> None:
    folder = copied(whole, tmp_path / "mine")
    an_adapter(folder)
    assert "holds a model and an adapter (adapter_config.json): merge" in said_by_ask(folder)


def test_no_kernel_is_fetched_by_its_name(whole: Path, tmp_path: Path) -> None:
    """transformers takes the name of a repository for an implementation of attention."""
    folder = copied(whole, tmp_path / "mine")
    kernel = "somebody/kernel"
    settings(attn_implementation=kernel, experts_implementation=kernel)(folder)
    config = load_config(folder)
    assert config._attn_implementation is config._experts_implementation is None
    asked = "Who built?", "Anna built the tower."
    one, other = (open_answerer(place).run(*asked).outputs[0] for place in (whole, folder))
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert load_config(folder, attn_implementation="eager")._attn_implementation == "eager"


def test_another_tokenizer_beside_vocab_txt_is_refused(whole: Path, tmp_path: Path) -> None:
    """transformers would read that one, and know no word of the vocabulary."""
    folder = copied(whole, tmp_path / "mine")
    (folder / "old_tokenizer.model").write_text("a\n")
    if whole.name == "json":
        assert len(load_tokenizer(folder)) == len(load_tokenizer(whole))
        return
    assert "'old_tokenizer.model', which is not BERT's: move that file away" in said_by_ask(folder)


IGNORED: dict[str, dict[str, Any]] = {
    "normalizer.type": {"normalizer": {"type": "NFC"}},
    "normalizer None": {"normalizer": None},
    "pre_tokenizer.type": {"pre_tokenizer": {"type": "Whitespace"}},
    "model.continuing_subword_prefix": {"model": {"continuing_subword_prefix": "@@"}},
    "model.max_input_chars_per_word": {"model": {"max_input_chars_per_word": 5}},
}


@pytest.mark.parametrize("said", IGNORED)
def test_what_transformers_leaves_out_of_a_tokenizer_is_refused(
    said: str, whole: Path, tmp_path: Path
) -> None:
    folder = copied(whole, tmp_path / "mine")
    if whole.name == "txt":
        return  # which says nothing of the kind
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text())
    for part, values in IGNORED[said].items():
        document[part] = values and {**document[part], **values}
    path.write_text(json.dumps(document))
    assert f"has {said}" in said_by_ask(folder) and "does not follow" in said_by_ask(folder)


def test_letters_that_two_files_treat_in_two_ways_are_noted(whole: Path, tmp_path: Path) -> None:
    folder = copied(whole, tmp_path / "mine")
    if whole.name == "json":
        (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
    notes = look(str(folder), SPAN_HEAD, None, role="teacher").notes
    said = "tokenizer.json has normalizer.lowercase true, and its tokenizer_config.json"
    assert any(said in note for note in notes) == (whole.name == "json")


def test_a_tokenizer_with_two_unknown_pieces_is_refused(whole: Path) -> None:
    tokenizer = load_tokenizer(whole)
    tokenizer.backend_tokenizer.model.unk_token = "[PAD]"
    with pytest.raises(UserError, match=r"takes '\[PAD\]' for unknown words, and names '\[UNK\]'"):
        describe_tokenizer(tokenizer)


def test_a_panic_of_a_library_is_one_line(
    whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """tokenizers prints where it was, pages long."""
    folder = copied(whole, tmp_path / "mine")
    charsmap = {"type": "Precompiled", "precompiled_charsmap": "////////AAAA"}
    if whole.name == "json":
        settings("tokenizer.json", normalizer=charsmap)(folder)
        capfd.readouterr()
        assert "the tokenizer in" in said_by_ask(folder)
        assert capfd.readouterr().err == ""
