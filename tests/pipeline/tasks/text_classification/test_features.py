# SPDX-License-Identifier: Apache-2.0
"""Inputs against transformers' own call of the tokenizer, with its truncation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from pipeline.models.teacher import load_tokenizer
from pipeline.tasks.text_classification.data import Text
from pipeline.tasks.text_classification.features import encode, kept, training_features
from pipeline.tasks.text_classification.golden import UNUSUAL

WORD = st.sampled_from(
    ["the", "tower", "walking", "zoë", "東京", "x" * 120, "[SEP]", "!", "\u200b"]
)
TEXT = st.lists(WORD, max_size=30).map(" ".join)


@pytest.fixture(scope="module")
def tokenizers(tiny_teacher: Path) -> tuple[Any, Any]:
    """Ours, which does not cut, and that of transformers."""
    return load_tokenizer(tiny_teacher), AutoTokenizer.from_pretrained(tiny_teacher)


def check(tokenizers: tuple[Any, Any], text: str, pair: str | None, length: int) -> None:
    ours, theirs = tokenizers
    found = encode(ours, text, pair, length)
    # A list, as training scripts have it: for one alone, an empty second text is none at all.
    pairs = None if pair is None else [pair]
    wanted = theirs([text], pairs, truncation=True, max_length=length)
    assert [found.ids.tolist()] == wanted["input_ids"]
    assert [found.segment_ids.tolist()] == wanted["token_type_ids"]
    assert found.ids.dtype == found.segment_ids.dtype == np.int32


@settings(deadline=None, max_examples=150)
@given(text=TEXT, pair=st.none() | TEXT, length=st.integers(16, 40))
def test_inputs_are_those_of_transformers(
    tokenizers: tuple[Any, Any], text: str, pair: str | None, length: int
) -> None:
    check(tokenizers, text, pair, length)


@pytest.mark.parametrize("first", range(len(UNUSUAL)))
def test_unusual_texts_are_cut_the_same(tokenizers: tuple[Any, Any], first: int) -> None:
    check(tokenizers, UNUSUAL[first], None, 16)
    for pair in UNUSUAL:
        check(tokenizers, UNUSUAL[first], pair, 17)


@pytest.mark.parametrize(
    ("first", "second", "room", "expected"),
    [
        (3, 4, 10, (3, 4)),
        (9, 3, 10, (7, 3)),
        (3, 9, 10, (3, 7)),
        (9, 9, 10, (5, 5)),
        (9, 8, 11, (6, 5)),
        (8, 9, 11, (5, 6)),
        (0, 20, 10, (0, 10)),
    ],
    ids=["short", "first", "second", "both", "odd", "odd-second", "nothing"],
)
def test_the_longer_text_is_cut(
    first: int, second: int, room: int, expected: tuple[int, int]
) -> None:
    assert kept(first, second, room) == expected


def test_training_inputs_keep_their_order_and_labels(tokenizers: tuple[Any, Any]) -> None:
    found = training_features(
        tokenizers[0], [Text("the tower", None, "b"), Text("a", None, "a")], 16, [1, 0]
    )
    assert [one.label for one in found] == [1, 0]
    assert found[0].length == 4 and not found[0].segment_ids.any()
