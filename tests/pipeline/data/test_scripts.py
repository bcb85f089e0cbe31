# SPDX-License-Identifier: Apache-2.0
"""The pieces of a language are those whose letters its scripts have."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import SPECIAL, MakeTeacher, pieces
from transformers import BertTokenizerFast

from pipeline import settings
from pipeline.data.corpus import words_of
from pipeline.data.scripts import SCRIPTS, pieces_of, scripts_of
from pipeline.errors import UserError
from pipeline.models.teacher import load_tokenizer

# A piece -> a language that needs it, and one that does not; None where every language does.
PIECES = {
    "straße": ("de", "ru"),
    "##ção": ("pt", "el"),
    "\uff21": ("en", "ja"),  # fullwidth
    "москва": ("ru", "en"),
    "##ђ": ("sr", "de"),
    "λόγος": ("el", "ru"),
    "東": ("ja", "th"),
    "々": ("zh", "en"),
    "ー": ("ja", "zh"),  # shared by hiragana and katakana
    "ｶ": ("ja", "ko"),  # halfwidth
    "한국": ("ko", "ja"),
    "नमस्ते": ("hi", "ta"),
    "שלום": ("he", "ar"),
    "اردو": ("ur", "he"),
    "1999": None,
    "##.": None,
    "€": None,
    "́": None,  # a combining accent
}


def kept(known: Any, *codes: str) -> set[str]:
    """The pieces of a tokenizer that some languages keep."""
    scripts = scripts_of(f"language:{code}" for code in codes)
    return {*map(known.convert_ids_to_tokens, pieces_of(known.get_vocab(), scripts))}


def tokenizer() -> BertTokenizerFast:
    known = [*SPECIAL, *PIECES, "aя", "[unused1]"]
    return BertTokenizerFast(vocab={piece: place for place, piece in enumerate(known)})


@pytest.mark.parametrize("piece", PIECES, ids=[f"U+{ord(p.strip('#')[0]):04X}" for p in PIECES])
def test_a_piece_stays_where_its_language_does(piece: str) -> None:
    known = tokenizer()
    needed, other = PIECES[piece] or ("de", "ja")
    assert piece in kept(known, needed)
    assert (piece in kept(known, other)) == (PIECES[piece] is None)


def test_a_word_of_two_scripts_needs_both() -> None:
    known = tokenizer()
    for codes, stays in ((["de"], False), (["ru"], False), (["de", "ru"], True), (["sr"], True)):
        assert ("aя" in kept(known, *codes)) == stays


def test_names_in_brackets_are_no_text() -> None:
    assert not kept(tokenizer(), "de") & {"[unused1]", "[CLS]"}


def test_other_texts_name_no_language() -> None:
    assert scripts_of(["passages", "embedded", "notes.txt"]) == frozenset()
    assert [*pieces_of(tokenizer().get_vocab(), frozenset())] == []


def test_an_english_vocabulary_keeps_all_but_han_for_english(make_teacher: MakeTeacher) -> None:
    known = load_tokenizer(make_teacher())
    assert kept(known, "en") == {*pieces()} - {*SPECIAL, *"東京"}


def test_every_code_is_there_once() -> None:
    assert all(2 <= len(code) <= 3 and code.islower() for code in SCRIPTS)
    assert {"de", "en", "ja", "zh", "ko", "ru", "ar", "hi", "he", "th"} <= SCRIPTS.keys()


def test_a_language_is_read_before_any_training() -> None:
    trim = ["--vocabulary", "trim", "--vocabulary-text"]
    words = settings.parse([*trim, "language:de"], "").words
    assert words_of(words, ["a text of the training examples"]) is None
    words = settings.parse([*trim, "language:de", "passages"], "").words
    found = words_of(words, ["a text of the training examples"])
    assert found and found.paragraphs == ("a text of the training examples",)
    for name in ("language:xx", "language:", "language:German"):
        words = settings.parse([*trim, name], "").words
        with pytest.raises(UserError, match=f"{name}: no such language; .*language:de, of af "):
            words_of(words, [])
