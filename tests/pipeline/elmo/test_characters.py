# SPDX-License-Identifier: Apache-2.0
"""Words and their character ids, worked out by hand from the definition of bilm-tf."""

from __future__ import annotations

import pytest
import torch

from pipeline.elmo import characters

PAD = 261


def test_a_word_is_its_bytes_between_marks() -> None:
    # a = 97, b = 98; begin 258, end 259, padding 260; all of them raised by one
    assert characters.word_ids("ab") == [259, 98, 99, 260, *[PAD] * 46]
    # U+00E9 is C3 A9 in UTF-8
    assert characters.word_ids("é") == [259, 0xC3 + 1, 0xA9 + 1, 260, *[PAD] * 46]
    assert characters.word_ids("") == [259, 260, *[PAD] * 48]


@pytest.mark.parametrize("length", [47, 48, 49, 500])
def test_a_long_word_loses_its_last_bytes(length: int) -> None:
    ids = characters.word_ids("x" * length)
    kept = min(length, 48)
    assert len(ids) == 50
    assert ids[: kept + 2] == [259, *[121] * kept, 260]
    assert ids[kept + 2 :] == [PAD] * (48 - kept)


def test_a_sentence_has_two_ends() -> None:
    ids = characters.sentence_ids(("ab",))
    assert ids.dtype == torch.int64 and ids.shape == (3, 50)
    assert ids[0].tolist() == [259, 257, 260, *[PAD] * 47]
    assert ids[1].tolist() == characters.word_ids("ab")
    assert ids[2].tolist() == [259, 258, 260, *[PAD] * 47]


def test_a_batch_is_padded_with_zeros_behind_the_ends() -> None:
    ids = characters.batch([("a",), ("a", "b", "c")])
    assert ids.shape == (2, 5, 50)
    assert ids[0, :3].equal(characters.sentence_ids(("a",))) and not ids[0, 3:].any()
    assert ids[1].equal(characters.sentence_ids(("a", "b", "c")))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "It's Mr. Smith, 3.5 & co.",
            ["It", "'s", "Mr.", "Smith", ",", "3.5", "&", "co", "."],
        ),
        ("He left. <b> don't", ["He", "left", ".", "<", "b", ">", "don", "'t"]),
        ("", [""]),
        (" \n\t", [""]),
        ("a\ud800b", ["a", "?", "b"]),  # a lone surrogate
    ],
    ids=["marks", "two-sentences", "empty", "spaces", "surrogate"],
)
def test_words_are_those_of_moses(text: str, words: list[str]) -> None:
    assert list(characters.split(text)) == words
    assert characters.sentence_ids(characters.split(text)).shape == (len(words) + 2, 50)
