# SPDX-License-Identifier: Apache-2.0
"""Tokenizers with added tokens: described so that they can be built again, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeTeacher
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken
from transformers import AutoTokenizer

from pipeline.errors import UserError
from pipeline.files.export import write_vocabulary
from pipeline.files.tokenizer import describe_tokenizer, tokenizer_of
from pipeline.models.teacher import load_tokenizer

Add = Callable[..., Any]

# Every flag, tokens that WordPiece knows too, and what a line of vocab.txt cannot hold.
TOKENS = (
    "e-mail",
    "tower",
    AddedToken("[Q]", special=True, normalized=False),
    AddedToken("Köln", single_word=True),
    AddedToken("<x>", lstrip=True, rstrip=True, normalized=False),
    AddedToken("##es", normalized=False),
    AddedToken("\n", normalized=False),
    AddedToken(" blank ", normalized=False),
    "東京",
)
PARTS = (*map(str, TOKENS), "E-Mail", "KÖLN", "koln", "Tower", "towers", *" \t\n_.a1é東ßx", "[SEP]")


@pytest.fixture
def add(tiny_teacher: Path) -> Add:
    """Gives `add(*tokens)`: the tiny teacher's tokenizer with these tokens added."""

    def tokenizer(*tokens: Any, **options: Any) -> Any:
        found = AutoTokenizer.from_pretrained(tiny_teacher, **options)
        found.add_tokens(list(tokens))
        return found

    return tokenizer


def test_entries_hold_all_that_decides_where_a_token_is_found(add: Add) -> None:
    tokenizer = add(*TOKENS)
    added = describe_tokenizer(tokenizer)["added"]
    assert {entry["content"] for entry in added} == set(map(str, TOKENS))
    assert [entry["id"] for entry in added] == sorted(entry["id"] for entry in added)
    for entry in added:
        token = tokenizer.added_tokens_decoder[entry["id"]]
        assert token.content == entry["content"]
        for flag in ("special", "lstrip", "rstrip", "single_word", "normalized"):
            assert entry[flag] is getattr(token, flag)
    assert [entry["content"] for entry in added if entry["word_piece"]] == ["tower"]


def test_a_special_piece_is_listed_only_where_it_is_not_as_in_bert(add: Add) -> None:
    mask = AddedToken("[MASK]", special=True, normalized=False, lstrip=True)
    added = describe_tokenizer(add(mask))["added"]
    assert [(entry["content"], entry["lstrip"], entry["word_piece"]) for entry in added] == [
        ("[MASK]", True, True)
    ]


def test_vocabulary_has_a_line_for_every_id(add: Add, tmp_path: Path) -> None:
    tokenizer = add(*TOKENS)
    path = write_vocabulary(tmp_path, tokenizer)
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines.pop() == "" and len(lines) == len(tokenizer)
    assert lines[tokenizer.convert_tokens_to_ids("\n")] == "\\n"
    others = [t for t in tokenizer.get_vocab() if t != "\n"]
    assert [lines[tokenizer.convert_tokens_to_ids(t)] for t in others] == others


@pytest.fixture(scope="module")
def pairs(
    make_teacher: MakeTeacher, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Any, Any]]:
    """Tokenizers as transformers loads them, and as they are built from the two files."""
    found = []
    for cased, options in (
        *((False, {}), (True, {})),
        *((False, {"strip_accents": False}), (False, {"split_special_tokens": True})),
    ):
        folder = tmp_path_factory.mktemp("tokenizer")
        tokenizer = AutoTokenizer.from_pretrained(make_teacher(cased=cased), **options)
        tokenizer.add_tokens(list(TOKENS))
        tokenizer.save_pretrained(folder)
        (folder / "config.json").write_text('{"model_type": "bert"}')
        loaded = load_tokenizer(folder)
        vocabulary = write_vocabulary(folder, loaded)
        found.append((loaded, tokenizer_of(vocabulary, describe_tokenizer(loaded))))
    return found


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(PARTS) | st.characters(exclude_categories=["Cs"]), max_size=12))
def test_the_files_give_the_ids_and_offsets_of_transformers(
    pairs: list[tuple[Any, Any]], parts: list[str]
) -> None:
    text = "".join(parts)
    for loaded, rebuilt in pairs:
        expected = loaded(text, add_special_tokens=False, return_offsets_mapping=True)
        found = rebuilt.backend_tokenizer.encode(text, add_special_tokens=False)
        assert rebuilt(text)["input_ids"][1:-1] == expected["input_ids"]
        assert found.ids == expected["input_ids"]
        assert found.offsets == expected["offset_mapping"]


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (("Rome-1", "ROME-1"), "'Rome-1' and 'ROME-1' are the same once they are normalized"),
        (("\u0301",), "nothing is left of the tokenizer's added token '\u0301'"),
    ],
    ids=["same", "nothing"],
)
def test_tokens_that_cannot_be_told_apart_are_refused(
    add: Add, tokens: tuple[str, ...], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        describe_tokenizer(add(*tokens))
    kept = add(*(AddedToken(token, normalized=False) for token in tokens))
    assert len(describe_tokenizer(kept)["added"]) == len(tokens)


def test_an_id_that_the_files_do_not_give_is_refused(add: Add, tmp_path: Path) -> None:
    tokenizer = add("e-mail", "[Q]")
    description = describe_tokenizer(tokenizer)
    description["added"].reverse()
    with pytest.raises(UserError, match=r"the added token '\[Q\]' gets the id"):
        tokenizer_of(write_vocabulary(tmp_path, tokenizer), description)
