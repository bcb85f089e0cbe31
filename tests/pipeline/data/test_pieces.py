# SPDX-License-Identifier: Apache-2.0
"""Words that are remembered have the pieces that a tokenizer gives to the whole text."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.corpus import pack, pack_documents, packer
from pipeline.data.pieces import Pieces
from pipeline.training.stream import Stream

# Accents of their own, controls, spaces of other widths, CJK, special tokens, long words.
ODD = (
    *("anna", "playing", "Zürich", "zu\u0308rich", "\u0308", "東京タワー", "[MASK]", "x[SEP]y"),
    *(
        "",
        "\x1c",
        "a\x85b",
        "a\u200bb",
        "\u3000",
        "\u2028",
        "\n",
        "\t",
        "a" * 120,
        "1,850.5",
        "ΟΔΟΣ",
    ),
    *("\ud7ff", "\U0001f600", "İ", "ﬁ", "..."),
)
TEXT = st.lists(st.sampled_from(ODD) | st.text(max_size=5), max_size=12).map(" ".join)


@settings(deadline=None, max_examples=200)
@given(st.lists(TEXT, max_size=6))
def test_pieces_are_those_of_the_whole_text(tokenizer: Any, paragraphs: list[str]) -> None:
    encode = tokenizer.backend_tokenizer.encode
    expected = [i for text in paragraphs for i in encode(text, add_special_tokens=False).ids]
    remembering, forgetful, whole = Pieces(tokenizer), Pieces(tokenizer, 3), Pieces(tokenizer, 0)
    for pieces in (remembering, remembering, forgetful, whole):
        found = pieces(paragraphs)
        assert found.dtype == np.int32 and found.tolist() == expected
    assert not whole.words


def test_a_cased_tokenizer_gives_the_same_too(make_teacher: Any) -> None:
    from transformers import AutoTokenizer

    cased = AutoTokenizer.from_pretrained(make_teacher(cased=True))
    text = ["Anna built the Tower of ROME , and Rome was OLD.", "Zürich éß İ"]
    assert Pieces(cased)(text).tolist() == Pieces(cased, 0)(text).tolist()
    assert Pieces(cased).remembered


def test_a_token_with_a_space_keeps_texts_whole(tokenizer: Any) -> None:
    other = copy.deepcopy(tokenizer)
    other.add_tokens(["new york"])
    text = ["the tower of new york is old"]
    pieces = Pieces(other)
    assert pieces.remembered == 0 and len(other) - 1 in pieces(text)
    assert pieces(text).tolist() == other.encode(text[0], add_special_tokens=False)
    other = copy.deepcopy(tokenizer)
    other.backend_tokenizer.enable_truncation(3)
    assert Pieces(other).remembered == 0


def test_no_more_words_are_remembered_than_may_be(tokenizer: Any) -> None:
    pieces = Pieces(tokenizer, 4)
    for text in ("a an of in", "a an of on", "the the the"):
        pieces([text])
        assert 0 < len(pieces.words) <= 4
    assert set(pieces.words) <= {"a", "an", "of", "on", "the"}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_has_the_same_samples_whatever_is_remembered(tokenizer: Any, workers: int) -> None:
    texts = [f"anna built the tower of rome in {n}\n\nboris saw it" for n in range(300)]

    def samples(pack_text: Any) -> list[list[int]]:
        stream = Stream([partial(iter, texts)], pack_text, 3, 128)
        items = stream.read(0, workers=workers)
        return [next(items)[1].tolist() for _ in range(200)]

    plain = samples(partial(pack_documents, tokenizer, 16, pieces=Pieces(tokenizer, 0)))
    assert samples(packer(tokenizer, 16)) == plain


def test_a_sample_holds_no_other_one_in_memory(tokenizer: Any) -> None:
    samples = list(pack(tokenizer, ["anna built the tower of rome"] * 40, 16))
    assert len(samples) > 2 and all(sample.base is None for sample in samples)
