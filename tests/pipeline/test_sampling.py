# SPDX-License-Identifier: Apache-2.0
"""Training examples join few evaluation examples in the drop of the score: which, and how many."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from class_files import dev_texts, write_student

from pipeline import sampling, settings
from pipeline.config import Build
from pipeline.models.found import Found
from pipeline.models.teacher import load_tokenizer
from pipeline.start import Start
from pipeline.tasks.question_answering.squad import Question, QuestionSet
from pipeline.tasks.text_classification import TASK
from pipeline.tasks.text_classification.data import TextSet, load_texts
from pipeline.tasks.text_classification.settings import TextData

EVALUATION = dev_texts(20)


@pytest.fixture(scope="module")
def train() -> TextSet:
    return load_texts(TextData(), "train")


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    return write_student(tmp_path_factory.mktemp("drawn") / "student", tokenizer)


def config(seed: int = 42, **verification: Any) -> Build:
    build = settings.load("embedded-classification")
    return replace(build, seed=seed, verification=replace(build.verification, **verification))


def draw(student: Path, train: TextSet | None, build: Build) -> tuple[Any, ...]:
    return sampling.draw(build, TASK, student, EVALUATION, TASK.traits(EVALUATION), train)


def test_as_many_are_drawn_as_are_missing_from_the_whole_set(student: Path, train: TextSet) -> None:
    drawn = draw(student, train, config(drop_examples=120))
    assert len(drawn) == 100 == len(set(drawn)) and set(drawn) <= set(train.examples)
    places = [train.examples.index(text) for text in drawn]
    assert places != sorted(places)
    quarter = len(train.examples) / 4
    assert all(10 < sum(int(p // quarter) == part for p in places) < 45 for part in range(4))
    assert drawn == draw(student, train, config(drop_examples=120))
    assert drawn != draw(student, train, config(seed=1, drop_examples=120))


def test_none_are_drawn_where_there_are_enough_or_no_others(student: Path, train: TextSet) -> None:
    assert draw(student, train, config(drop_examples=20)) == ()
    assert draw(student, train, config(drop_examples=1)) == ()
    assert draw(student, None, config()) == ()
    assert draw(student, replace(train, sha256=EVALUATION.sha256), config()) == ()
    assert len(draw(student, train.limited(7), config())) == 7


def test_what_they_cost_is_limited(student: Path, train: TextSet) -> None:
    """The first of those that would be drawn, until the student's operations are used up."""
    every = draw(student, train, config(drop_examples=120))
    model: Any = None
    reader = TASK.reader(model, load_tokenizer(student), config().data, TASK.traits(EVALUATION))
    lengths = [len(reader.encode(text)[0].ids) for text in every]
    # 2 layers of width 32: attention has 4 matrices, the feed-forward two of 32 x 1024, all with
    # biases; two layer norms each.  The head has one matrix of 32 x 32 and one of 32 x 6.
    layer = 4 * (32 * 32 + 32) + 2 * 32 * 1024 + 1024 + 32 + 2 * 64
    weights = 2 * layer + 32 * 32 + 32 + 32 * 6 + 6
    cost = [2 * weights * n + 4 * 2 * 32 * n**2 for n in lengths]
    for count in (0, 1, 30):
        limit = sum(cost[:count]) + cost[count] / 2
        few = draw(student, train, config(drop_examples=120, drop_operations=limit))
        assert few == every[:count]


def began(build: Build, train: TextSet | None) -> Start:
    found = Found(None, None, ())
    return Start(build, TASK, train, EVALUATION, found, TASK.traits(EVALUATION))


def test_the_keys_of_stages_hold_what_is_drawn(train: TextSet) -> None:
    keys = [
        sampling.key(began(build, some))
        for build, some in (
            (config(), train),
            (config(seed=1), train),
            (config(drop_examples=100), train),
            (config(drop_operations=1e9), train),
            (config(), train.limited(200)),
            (config(), replace(train, sha256="0" * 64)),
        )
    ]
    assert len({key["drawn"] for key in keys}) == len(keys)
    for build, some in ((config(drop_examples=20), train), (config(), None)):
        assert sampling.key(began(build, some)) == {}, "builds without them keep what they made"


def test_joined_examples_are_scored_by_the_rules_of_the_evaluation(train: TextSet) -> None:
    whole: Any = sampling.joined(EVALUATION, train.examples[:5])
    assert whole.examples == (*EVALUATION.examples, *train.examples[:5])
    assert whole == replace(EVALUATION, examples=whole.examples)
    assert sampling.joined(EVALUATION, ()) is EVALUATION
    one = Question("1", "", "ein Haus", "was?", ("ein Haus",), (0,))
    german = QuestionSet("dev", "0" * 64, (one,), language="de")
    both: Any = sampling.joined(german, [replace(one, id="2")])
    assert [each.id for each in both.questions] == ["1", "2"] and both.language == "de"
