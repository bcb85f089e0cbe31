# SPDX-License-Identifier: Apache-2.0
"""A smaller vocabulary cuts the texts it was made for as before, and spells all others."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SPECIAL, MakeTeacher, pieces
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken
from transformers import (
    AutoModelForQuestionAnswering,
    BertTokenizerFast,
    DistilBertConfig,
    DistilBertForQuestionAnswering,
)

from converters.runtimes.torch import TorchPredictor
from converters.tflite.export import export_tflite
from pipeline import settings as build_settings
from pipeline.build import main
from pipeline.files.trimming import kept_pieces, trimmed_model, trimmed_tokenizer
from pipeline.models.heads import SPAN_HEAD
from pipeline.models.teacher import find_teacher, load_tokenizer
from pipeline.start import Start, start

TEXTS = (
    "The lighthouse was built by Anna in 1871, after three ships had been lost.",
    "Déjà vu: naïve cafés in São Paulo, 東京 and Москва!",
)


def ids(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False).input_ids
    return found


@pytest.fixture(scope="module")
def real() -> Any:
    return load_tokenizer(find_teacher("embedded", SPAN_HEAD).folder)


@pytest.fixture(scope="module")
def cut(real: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[int]]:
    """The real vocabulary cut to `TEXTS`."""
    kept = kept_pieces(real, (place for text in TEXTS for place in ids(real, text)))
    return trimmed_tokenizer(real, kept, tmp_path_factory.mktemp("cut")), kept


def test_texts_it_was_cut_for_have_the_same_pieces(real: Any, cut: tuple[Any, list[int]]) -> None:
    trimmed, kept = cut
    for text in (*TEXTS, " ".join(TEXTS).upper(), TEXTS[0][4:28]):
        pieces = real.convert_ids_to_tokens(ids(real, text))
        assert trimmed.convert_ids_to_tokens(ids(trimmed, text)) == pieces
    assert len(trimmed) == len(kept) < 0.1 * len(real)
    assert [trimmed.pad_token, trimmed.cls_token, trimmed.unk_token] == ["[PAD]", "[CLS]", "[UNK]"]


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=60))
def test_any_other_text_is_spelled_with_the_same_characters(
    real: Any, cut: tuple[Any, list[int]], text: str
) -> None:
    trimmed, _ = cut
    before = real.convert_ids_to_tokens(ids(real, text))
    after = trimmed.convert_ids_to_tokens(ids(trimmed, text))
    assert after.count("[UNK]") == before.count("[UNK]")
    assert "".join(p.removeprefix("##") for p in after) == "".join(
        p.removeprefix("##") for p in before
    )


@settings(max_examples=50, deadline=None)
@given(words=st.lists(st.text(alphabet="abcdefgh東京é", min_size=1, max_size=12), max_size=30))
def test_words_in_any_order_have_the_same_pieces(words: list[str]) -> None:
    known = [*pieces(), "ab", "##ab", "abc", "##abcd", "##h東"]
    small = BertTokenizerFast(vocab={piece: place for place, piece in enumerate(known)})
    kept = kept_pieces(small, ids(small, " ".join(words)))
    with tempfile.TemporaryDirectory() as folder:
        trimmed = trimmed_tokenizer(small, kept, Path(folder))
    other = " ".join(reversed(words))
    assert [kept[place] for place in ids(trimmed, other)] == ids(small, other)


def test_pieces_with_a_character_that_nothing_else_spells_stay() -> None:
    known = [*SPECIAL, "a", "##a", "b", "##b", "ab", "##ø", "aø", "##ab", "[unused1]", "bab"]
    tokenizer = BertTokenizerFast(vocab={piece: place for place, piece in enumerate(known)})
    tokenizer.add_tokens([AddedToken("<hi>")])
    kept = [*map(tokenizer.convert_ids_to_tokens, kept_pieces(tokenizer, []))]
    assert kept == [*SPECIAL, "a", "##a", "b", "##b", "##ø", "aø", "<hi>"]


def test_added_tokens_keep_what_they_were(tmp_path: Path) -> None:
    known = [*SPECIAL, *"abc", *("##a", "##b", "##c"), "abc"]
    tokenizer = BertTokenizerFast(vocab={piece: place for place, piece in enumerate(known)})
    tokenizer.add_tokens([AddedToken("a-b", single_word=True), "[Q]"])
    trimmed = trimmed_tokenizer(tokenizer, kept_pieces(tokenizer, []), tmp_path)
    for text in ("a-b", "xa-b [Q]c", "abc a-b"):
        pieces = tokenizer.tokenize(text.replace("abc", "a"))
        assert trimmed.tokenize(text.replace("abc", "a")) == pieces
    assert trimmed.tokenize("abc") == ["a", "##b", "##c"]


def test_the_model_computes_what_it_did(make_teacher: MakeTeacher, tmp_path: Path) -> None:
    folder = make_teacher(head="qa")
    tokenizer = load_tokenizer(folder)
    model = AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    text = "anna built the tower of rome"
    kept = kept_pieces(tokenizer, ids(tokenizer, text))
    trimmed = trimmed_tokenizer(tokenizer, kept, tmp_path)
    small = trimmed_model(model, kept)
    assert small.config.vocab_size == len(kept) < model.config.vocab_size
    with torch.no_grad():
        before = model(**tokenizer(text, return_tensors="pt"))
        after = small(**trimmed(text, return_tensors="pt"))
    # The same rows of the same tables: nothing is computed in another order.
    assert torch.equal(before.start_logits, after.start_logits)
    assert torch.equal(before.end_logits, after.end_logits)
    small.save_pretrained(tmp_path)
    trimmed.save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path).get_vocab() == trimmed.get_vocab()


MULTILINGUAL = 119_547  # pieces, as in multilingual BERT

# Letters of other scripts, three of which make a piece.
OTHERS = (
    "абвгдежзийклмнопрстуфхцчшщъыьэюя",
    "αβγδεζηθικλμνξοπρστυφχψω",
    "אבגדהוזחטיכלמנסעפצקרשת",
    "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "かきくけこさしすせそたちつてとなにぬねのはひふへほまみむめも",
)


def multilingual(real: Any) -> list[str]:
    """The pieces of the embedded vocabulary, and as many of other scripts as are missing."""
    pieces = real.convert_ids_to_tokens(range(len(real)))
    known = set(pieces)
    made = (
        mark + "".join(letters)
        for script in OTHERS
        for letters in itertools.product(script, repeat=3)
        for mark in ("", "##")
    )
    others = (piece for piece in made if piece not in known)
    return [*pieces, *itertools.islice(others, MULTILINGUAL - len(pieces))]


@pytest.mark.long
def test_a_multilingual_model_cut_for_one_language(real: Any, tmp_path: Path) -> None:
    """Its file shrinks to 0.4 or less, and it answers every evaluation question as before.

    The same rows of the same tables are added in the same order, so the logits differ by nothing;
    1e-6 leaves room for a product that another memory layout adds up otherwise.
    """
    torch.manual_seed(1)
    vocabulary = {piece: place for place, piece in enumerate(multilingual(real))}
    assert len(vocabulary) == MULTILINGUAL
    config = DistilBertConfig(
        vocab_size=MULTILINGUAL, dim=384, n_layers=3, n_heads=12, hidden_dim=1536
    )
    whole = DistilBertForQuestionAnswering(config).eval()
    student, out = tmp_path / "multilingual", tmp_path / "out"
    whole.save_pretrained(student)
    BertTokenizerFast(vocab=vocabulary).save_pretrained(student)
    flags = ["--student", str(student), "--eval-file", "embedded", "--out", str(out)]
    flags += ["--target", "tflite", "--precision", "fp32", "--no-benchmark"]
    flags += ["--vocabulary", "trim", "--vocabulary-text", "language:en"]
    assert main(flags) == 0

    before = export_tflite(whole, tmp_path / "whole.tflite", precision="fp32").stat().st_size
    after = (out / "tflite" / "student-fp32.tflite").stat().st_size
    print(f"{after:,} bytes of {before:,}: {after / before:.3f}")
    assert after <= 0.4 * before

    began = start(build_settings.parse(flags, ""), lambda _: None)
    largest = 0.0
    models = [reading(folder, began) for folder in (student, out / "trimmed")]
    for question in began.evaluation.examples:
        logits = [
            [
                model.run(one.ids[None], np.ones_like(one.ids[None]), one.segment_ids[None])
                for one in reader.encode(question)
            ]
            for model, reader in models
        ]
        for one, other in zip(*logits, strict=True):
            errors = (np.abs(a - b).max() for a, b in zip(one, other, strict=True))
            largest = max(largest, *errors)
    print(f"{len(began.evaluation.examples)} questions, largest difference {largest:.1e}")
    assert largest <= 1e-6


def reading(folder: Path, began: Start) -> tuple[TorchPredictor, Any]:
    """A model in PyTorch, and what makes its windows of an example."""
    model = TorchPredictor(AutoModelForQuestionAnswering.from_pretrained(folder), folder.name)
    tokenizer = load_tokenizer(folder)
    return model, began.task.reader(model, tokenizer, began.config.data, began.traits)
