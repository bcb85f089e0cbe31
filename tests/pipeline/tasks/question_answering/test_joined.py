# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.tasks.question_answering.features import Limits, Windower, training_features
from pipeline.tasks.question_answering.joined import (
    BETWEEN,
    Joining,
    join_passages,
    long_documents,
)
from pipeline.tasks.question_answering.squad import UNKNOWN, Question
from pipeline.tasks.question_answering.task import QuestionAnswering


def questions(count: int) -> list[Question]:
    """Two questions for each passage, each with an answer that no other passage holds."""
    found = []
    for number in range(count):
        year = str(1800 + number // 2)
        context = f"The tower was built in {year}. " + "It is old. " * (number // 2 % 5)
        at = context.index(year)
        found.append(Question(str(number), "", context, "when?", (year, "year"), (at, UNKNOWN)))
    return found


@settings(max_examples=40, deadline=None)
@given(
    share=st.floats(0, 1),
    unanswered=st.floats(0, 1),
    most=st.integers(2, 6),
    seed=st.integers(0, 99),
    count=st.integers(1, 30),
)
def test_answers_stand_where_the_joined_passage_has_them(
    share: float, unanswered: float, most: int, seed: int, count: int
) -> None:
    before = questions(count)
    how = Joining(share, most=most, unanswered=unanswered, seed=seed)
    after = join_passages(before, how)
    assert after == join_passages(before, how)
    assert [one.id for one in after] == [one.id for one in before]
    passages = {one.context for one in before}
    for old, new in zip(before, after, strict=True):
        if new.answers:
            year, at = new.answers[0], new.starts[0]
            assert new.context[at : at + len(year)] == year and new.starts[1] == UNKNOWN
            parts = new.context.split(BETWEEN)
            assert old.context in parts and passages.issuperset(parts)
            assert len(parts) == len(set(parts)) <= most
        else:
            assert old.answers[0] not in new.context and new.context in passages


def test_shares_are_those_asked_for() -> None:
    before = questions(1000)
    assert join_passages(before, Joining()) == before
    assert join_passages(before[:2], Joining(1.0)) == before[:2], "one passage only"
    after = join_passages(before, Joining(0.3, unanswered=0.2))
    longer = sum(BETWEEN in one.context for one in after)
    nothing = sum(not one.answers for one in after)
    assert 250 < longer < 350 and 150 < nothing < 250
    whole = join_passages(before, Joining(1.0, fewest=5, most=5))
    assert {len(one.context.split(BETWEEN)) for one in whole} == {5}


def test_a_long_document_has_its_question_s_passage_and_just_enough_others() -> None:
    before = questions(20)
    words = [len(passage.split()) for passage in {one.context for one in before}]
    asked = sum(words) // 2
    after = long_documents(before, asked, 3)
    assert after == long_documents(before, asked, 3) != long_documents(before, asked, 4)
    for old, new in zip(before, after, strict=True):
        parts = new.context.split(BETWEEN)
        assert old.context in parts and len(parts) == len(set(parts))
        assert asked <= len(new.context.split()) < asked + max(words)
        assert new.context[new.starts[0] :].startswith(new.answers[0])
    with pytest.raises(UserError, match=f"together have {sum(words)} words"):
        long_documents(before, sum(words) + 1, 3)


def test_most_windows_of_a_joined_passage_point_at_cls(tokenizer: Any) -> None:
    windower = Windower(tokenizer, Limits(max_length=32, stride=16, max_query=4))
    joined = join_passages(questions(20), Joining(1.0, fewest=4, most=4))
    features = training_features(windower, joined)
    empty = sum(one.start == 0 for one in features)
    assert len(features) > 40 and len(features) / 2 < empty <= len(features) - 20


@pytest.mark.parametrize(("share", "more"), [(0.0, False), (0.5, True)])
def test_a_build_trains_on_joined_passages_in_the_share_that_it_states(
    tokenizer: Any, share: float, more: bool
) -> None:
    task = QuestionAnswering()
    data = replace(task.settings().data, max_length=64, stride=32, max_query=8, joined_share=share)
    asked: Any = type("Asked", (), {"questions": tuple(questions(12))})
    features = task.features(tokenizer, data, asked, {"may_abstain": False})
    again = task.features(tokenizer, data, asked, {"may_abstain": False})
    assert all(np.array_equal(a.ids, b.ids) for a, b in zip(features, again, strict=True))
    single = training_features(Windower(tokenizer, data.limits), questions(12))
    assert (len(features) > len(single)) is more
    assert ("joined" in task.encoding(data)) is more
