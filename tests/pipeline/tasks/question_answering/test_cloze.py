# SPDX-License-Identifier: Apache-2.0
"""Questions made from text, and questions asked of a few sentences: `cloze.py` and its settings."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import plan
from pipeline import settings as presets
from pipeline.tasks.question_answering.blanks import blanks
from pipeline.tasks.question_answering.cloze import cloze_questions, sentences, shorten
from pipeline.tasks.question_answering.features import Windower, training_features
from pipeline.tasks.question_answering.squad import (
    UNKNOWN,
    Question,
    QuestionSet,
    load_questions,
)
from pipeline.tasks.question_answering.task import QuestionAnswering

PASSAGES = (
    "The tower was built in 1889 by Gustave Eiffel for the World Fair. It is 330.5 meters tall.",
    "Rivers carry 1,200 tons of sand to the sea because the rain washes the mountains. So it goes. "
    "The long delta of the Nile feeds three large cities near Cairo!",
)

FREE = st.text(st.sampled_from("aB1 .,!?'-\u2019\n\u00a0\u0301Ⅷ²漢😀") | st.characters())


def at_their_offsets(question: Question) -> bool:
    """Whether every answer stands where the question says."""
    return all(
        question.context[start : start + len(answer)] == answer
        for answer, start in zip(question.answers, question.starts, strict=True)
    )


def questions(count: int) -> list[Question]:
    """Each of a passage of its own, with two answers in one sentence and one in another."""
    made = []
    for number in range(count):
        year, name = str(1000 + number), f"Maker{number}"
        context = (
            f"Nobody knows much about bridge {number}. In {year} it was built by {name} of Bern. "
            f"Many people still thank {name} for this."
        )
        starts = (context.index(name), context.index(year), context.rindex(name))
        made.append(Question(str(number), "b", context, "who?", (name, year, name), starts))
    return made


def test_sentences_have_five_words_and_end_at_marks_but_not_within_numbers() -> None:
    for passage, count in zip(PASSAGES, (2, 2), strict=True):
        texts = [passage[start:end] for start, end in sentences(passage)]
        assert len(texts) == count and all(text == text.strip() for text in texts)
    assert [PASSAGES[0][start:end] for start, end in sentences(PASSAGES[0])][1] == (
        "It is 330.5 meters tall."
    )
    assert sentences("Too short. \n\n") == [] == sentences("")


def test_spans_are_of_each_kind_with_words_that_ask_for_it() -> None:
    words = ["In", "1889", "Gustave", "Eiffel", "built", "three", "towers", "in", "Paris", "with"]
    words += ["the", "help", "of", "1,200", "men"]
    found = [
        (" ".join(words[blank.first : blank.stop]), blank.asked[0])
        for seed in range(9)
        for blank in blanks(words, random.Random(seed))
    ]
    assert set(found) == {
        ("1889", "when"),
        ("1889 Gustave Eiffel built", "where"),  # clumsy: what follows "in"
        ("Gustave Eiffel", "who"),
        ("three", "how many"),
        ("three towers", "how many"),
        ("Paris", "where"),
        ("the help", "what"),
        ("help", "what"),
        ("the help of 1,200 men", "with what"),
        ("1,200", "how many"),
        ("1,200 men", "how many"),
    }


def test_hundreds_of_questions_have_their_answers_at_their_offsets() -> None:
    train = load_questions("embedded", "train", bad_answers="skip", empty_answers="unanswerable")
    made = cloze_questions(train.passages, 500)
    assert [one.id for one in made] == [f"cloze-{number}" for number in range(500)]
    known = {p[start:end] for p in train.passages for start, end in sentences(p)}
    numbers_of_sentences = set()
    for one in made:
        assert at_their_offsets(one) and len(one.answers) == 1 and one.title == "cloze"
        assert one.text.endswith("?") and one.text[0].isupper() and 0 < len(one.answers[0]) <= 80
        here = [one.context[start:end] for start, end in sentences(one.context)]
        assert known.issuperset(here)
        numbers_of_sentences.add(len(here))
    assert numbers_of_sentences == {1, 2, 3, 4}
    assert len({(one.text, one.context) for one in made}) > 490, "they differ"


def test_a_seed_decides_every_choice() -> None:
    made = cloze_questions(PASSAGES, 40, seed=1)
    assert made == cloze_questions(PASSAGES, 40, seed=1) != cloze_questions(PASSAGES, 40, seed=2)
    short = shorten(questions(40), 0.5, seed=1)
    assert short == shorten(questions(40), 0.5, seed=1) != shorten(questions(40), 0.5, seed=2)
    changed = [old != new for old, new in zip(questions(40), short, strict=True)]
    fewer = zip(questions(30), shorten(questions(30), 0.5, seed=1), strict=True)
    assert [old != new for old, new in fewer] == changed[:30], "by their places alone"


@pytest.mark.parametrize(
    "passages",
    [(), ("",), ("Too short.",), ("one two 3. " * 9,), ("so it is that it is as it was to be",)],
    ids=["none", "empty", "short", "short sentences", "nothing to ask for"],
)
def test_texts_without_usable_sentences_yield_nothing(passages: tuple[str, ...]) -> None:
    assert cloze_questions(passages, 10) == []


def test_a_share_of_the_questions_gets_a_few_sentences() -> None:
    before = questions(1000)
    assert shorten(before, 0.0) == before
    after = shorten(before, 0.3)
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert 250 < len(changed) < 350  # 300 expected; 50 are 3.4 standard deviations
    known = {
        one.context[start:end]: one.id for one in before for start, end in sentences(one.context)
    }
    for old, new in changed:
        assert (new.id, new.title, new.text) == (old.id, old.title, old.text)
        assert new.answers == old.answers[:2] and at_their_offsets(new)
        of = [known[new.context[start:end]] for start, end in sentences(new.context)]
        assert 1 <= len(of) <= 4 and of.count(old.id) == 1, "its one sentence, and others"


def test_questions_without_a_sentence_for_their_answer_stay() -> None:
    first = questions(1)[0]
    kept = [
        replace(first, answers=(), starts=()),
        replace(first, starts=(UNKNOWN, *first.starts[1:])),
        replace(first, starts=(*first.starts[:2], UNKNOWN)),
        replace(first, answers=(first.context[30:60],), starts=(30,)),  # in two sentences
        replace(first, context="Bern, 1889.", answers=("1889",), starts=(6,)),  # in none of 5 words
    ]
    assert shorten(kept, 1.0) == kept
    (alone,) = shorten([first], 1.0)
    assert alone.context == "In 1000 it was built by Maker0 of Bern.", "no passage beside its own"


@settings(max_examples=60, deadline=None)
@given(
    passages=st.lists(FREE | st.sampled_from(PASSAGES), max_size=4),
    cut=st.tuples(st.integers(0, 99), st.integers(0, 30)),
    seed=st.integers(0, 99),
)
def test_free_text_makes_no_error_and_no_answer_beside_its_offset(
    passages: list[str], cut: tuple[int, int], seed: int
) -> None:
    for passage in passages:
        spans = sentences(passage)
        assert all(passage[start:end].strip() == passage[start:end] for start, end in spans)
    assert all(at_their_offsets(one) for one in cloze_questions(passages, 5, seed))
    before = []
    for passage in passages:
        start = min(cut[0], len(passage))
        answer = passage[start : start + cut[1]]
        before.append(Question("q", "", passage, "what?", (answer,), (start,)))
    after = shorten(before, 1.0, seed)
    assert len(after) == len(before) and all(one.answers for one in after)
    assert all(map(at_their_offsets, after))


def test_the_settings_reach_inputs_keys_and_plans(tokenizer: Any) -> None:
    task = QuestionAnswering()
    plain = replace(task.settings().data, max_length=64, stride=32, max_query=8)
    train = QuestionSet("made", "", tuple(questions(30)))
    windower = Windower(tokenizer, plain.limits)

    def features(**changes: Any) -> list[np.ndarray]:
        made = task.features(tokenizer, replace(plain, **changes), train, {"may_abstain": False})
        return [one.ids for one in made]

    def same(these: list[np.ndarray], those: list[np.ndarray]) -> bool:
        return len(these) == len(those) and all(map(np.array_equal, these, those))

    whole = [one.ids for one in training_features(windower, train.questions)]
    assert same(features(), whole)
    short = [one.ids for one in training_features(windower, shorten(train.questions, 0.5))]
    assert same(features(short_share=0.5), short) and not same(short, whole)
    made = [one.ids for one in training_features(windower, cloze_questions(train.passages, 7))]
    assert same(features(cloze_questions=7), whole + made)
    assert same(features(cloze_questions=7, short_share=0.5), short + made)
    joined = features(joined_share=1.0)
    assert same(features(joined_share=1.0, short_share=1.0), joined), "joined ones stay so"

    before = task.encoding(plain)
    assert set(before) == {"max_length", "stride", "max_query"}
    changed = replace(plain, short_share=0.5, cloze_questions=7)
    assert task.encoding(changed) == {**before, "short": 0.5, "cloze": 7}


def test_plans_count_the_questions_that_are_made() -> None:
    config = presets.load("distilbert-squad")
    more = replace(config, data=replace(config.data, cloze_questions=1000))
    known, added = plan.known(config), plan.known(more)
    assert known is not None and added is not None
    assert added[1].examples == known[1].examples + 1000
    assert added[1].inputs == known[1].inputs + 1000 and added[1].tokens > known[1].tokens
    train: Any = QuestionSet("made", "", tuple(questions(3)))
    source: Any = None
    task = QuestionAnswering()
    assert plan.counted(task, more.data, source, train, {}, exact=False).examples == 1003
