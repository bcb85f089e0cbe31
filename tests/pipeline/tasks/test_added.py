# SPDX-License-Identifier: Apache-2.0
"""Added tokens in golden cases."""

from __future__ import annotations

from pathlib import Path

from tokenizers import AddedToken
from transformers import AutoTokenizer

from pipeline.tasks.added import added_ids, added_text
from pipeline.tasks.question_answering.golden import UNUSUAL, cases
from pipeline.tasks.question_answering.squad import Question


def test_a_golden_case_shows_the_added_tokens(tiny_teacher: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_teacher)
    assert added_ids(tokenizer) == {} and added_text(tokenizer) is None
    # "tower" is a piece of the vocabulary and keeps its id; "[Q]" stands for itself alone.
    tokenizer.add_tokens(["e-mail", AddedToken("[Q]", special=True, normalized=False), "tower"])
    size = len(tokenizer)
    tower = tokenizer.convert_tokens_to_ids("tower")
    assert added_ids(tokenizer) == {tower: "tower", size - 2: "e-mail", size - 1: "[Q]"}

    text = added_text(tokenizer)
    assert text is not None and not text.isascii()
    ids = tokenizer(text)["input_ids"]
    assert [ids.count(place) for place in (tower, size - 2, size - 1)] == [2, 2, 2]
    questions = [Question("1", "", "old city", "who?", (), ())]
    plain, more = (cases(questions, 1, 48, added) for added in (None, text))
    assert len(plain) == 1 + len(UNUSUAL) + 2 and len(more) == len(plain) + 1
    ((question, passage),) = [case for case in more if case not in plain]
    assert passage == text and "tower" in question


def test_only_the_first_of_many_added_tokens_are_shown(tiny_teacher: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_teacher)
    tokenizer.add_tokens([f"number-{place}" for place in range(100)])
    text = added_text(tokenizer)
    assert text is not None and "number-7" in text and "number-8" not in text
