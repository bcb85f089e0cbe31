# SPDX-License-Identifier: Apache-2.0
"""Scores by language, the figures of SQuAD 2.0, and the threshold of "no answer"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.text import squad

from benchmarks.measure.latency import VALID_QUERIES
from pipeline.tasks.question_answering import TASK, golden
from pipeline.tasks.question_answering.evaluate import (
    ABSTAINING,
    MARGIN,
    METRICS,
    Answer,
    Answerer,
    best_null_threshold,
    decode,
    metrics_of,
    score,
)
from pipeline.tasks.question_answering.features import Limits, Window
from pipeline.tasks.question_answering.settings import QuestionBuild, QuestionData
from pipeline.tasks.question_answering.squad import Question, QuestionSet
from pipeline.tasks.reading import Reading


def asked(*answers: tuple[str, ...], language: str = "en") -> QuestionSet:
    questions = tuple(
        Question(f"q{i}", "", " ".join(golds), f"{i}?", golds, (0,) * len(golds))
        for i, golds in enumerate(answers)
    )
    return QuestionSet("set", "0", questions, language=language)


@settings(deadline=None, max_examples=60)
@given(
    cases=st.lists(
        st.tuples(
            st.sampled_from(["", "Anna", "the Anna", "Rome, 1850", "a"]),
            st.lists(st.sampled_from(["Anna", "Rome", "the"]), max_size=2),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_english_figures_are_those_of_torchmetrics_to_the_last_bit(
    cases: list[tuple[str, list[str]]],
) -> None:
    questions = asked(*(tuple(golds) for _, golds in cases))
    found = score([text for text, _ in cases], questions)
    wanted = squad(
        [{"prediction_text": text, "id": f"q{i}"} for i, (text, _) in enumerate(cases)],
        [
            {"answers": {"answer_start": [0] * len(golds or [""]), "text": golds or [""]}, "id": q}
            for q, golds in ((f"q{i}", golds) for i, (_, golds) in enumerate(cases))
        ],
    )
    assert (found["f1"], found["exact_match"]) == (
        float(wanted["f1"]),
        float(wanted["exact_match"]),
    )


def test_other_languages_are_scored_by_their_rules() -> None:
    answers = ["die Brücke", "托勒河畔", ""]
    golds = (("eine Brücke", "Haus"), ("托勒河",), ("drei",))
    assert score(answers, asked(*golds, language="de")) == {
        "f1": pytest.approx(100 / 3),
        "exact_match": pytest.approx(100 / 3),
    }
    # No articles, so that one of two words is shared; of the characters 3 of 4 and 3 of 3.
    assert score(answers, asked(*golds, language="zh")) == {
        "f1": pytest.approx(100 * (1 / 2 + 6 / 7 + 0) / 3),
        "exact_match": 0.0,
    }
    with pytest.raises(ValueError, match="argument"):
        score(["drei"], asked(*golds, language="de"))


@pytest.mark.parametrize("language", ["en", "de"])
def test_squad_2_has_figures_for_both_kinds_of_questions(language: str) -> None:
    questions = asked(("Anna Falk",), ("Rome",), (), (), (), language=language)
    found = score(["Anna", "", "", "Rome", "..."], questions)
    # Of the answerable ones: 2/3 and 0; of the others one of three is given none.
    assert list(found) == [m["name"] for m in metrics_of(questions)]
    assert metrics_of(questions) == [*METRICS, *ABSTAINING]
    assert found["has_answer_f1"] == pytest.approx(100 * (2 / 3) / 2)
    assert found["no_answer_accuracy"] == pytest.approx(100 / 3)
    for one in (asked(("Anna",)), asked((), ())):
        assert metrics_of(one) == METRICS
        assert list(score([""] * len(one.questions), one)) == [m["name"] for m in METRICS]
    assert [m["name"] for m in TASK.metrics] == list(found), "the report takes those that are there"


def reading(text: str, level: float) -> Reading[Window, Answer]:
    """Of an answer whose span has 1, and "no answer" `level` more."""
    null = np.asarray([1 + level, 0.0], np.float32), np.asarray([0.0, 0.0], np.float32)
    return Reading([], [null], Answer(text, 0, len(text), 1.0))


def brute_force(readings: Sequence[Any], questions: QuestionSet) -> float:
    """The highest F1 over thresholds, as many as could matter."""
    levels = [float(r.outputs[0][0][0]) - 1.0 for r in readings]

    def f1(threshold: float) -> float:
        texts = [
            "" if level >= threshold else r.prediction.text
            for r, level in zip(readings, levels, strict=True)
        ]
        return score(texts, questions)["f1"]

    return max(f1(threshold) for threshold in (min(levels) - 1, *(v + 0.1 for v in levels)))


@settings(deadline=None, max_examples=80)
@given(
    cases=st.lists(
        st.tuples(
            st.sampled_from(["Anna", "Anna Falk", ""]),
            st.integers(-4, 4),
            st.sampled_from([(), ("Anna",), ("Anna Falk", "Rome"), ("Rome",)]),
        ),
        min_size=1,
        max_size=7,
    ),
    language=st.sampled_from(["en", "de"]),
)
def test_the_threshold_is_that_of_the_highest_f1(
    cases: list[tuple[str, int, tuple[str, ...]]], language: str
) -> None:
    questions = asked(*(golds for _, _, golds in cases), language=language)
    readings = [reading(text, level) for text, level, _ in cases]
    threshold = best_null_threshold(readings, questions)
    texts = [text if level < threshold else "" for text, level, _ in cases]
    best = brute_force(readings, questions)
    assert score(texts, questions)["f1"] == pytest.approx(best, abs=1e-4)


def test_the_threshold_lies_halfway_and_the_first_of_equals_is_taken() -> None:
    questions = asked(("Anna",), (), ("Anna",), ())
    levels = [-3.0, 1.0, -1.5, 4.0]
    threshold = best_null_threshold([reading("Anna", level) for level in levels], questions)
    assert threshold == -0.25, "between the last that is right and the first that has no answer"
    # All right at -3; at 1 and 2 one is lost and one won: the first of the two stays.
    questions = asked(("Anna",), (), ("Anna",))
    levels = [-3.0, 1.0, 2.0]
    assert best_null_threshold([reading("Anna", v) for v in levels], questions) == -1.0


def test_a_threshold_at_an_end_leaves_room() -> None:
    never, always = asked(("Anna",), ("Anna",)), asked((), ())
    readings = [reading("Anna", level) for level in (-2.0, 3.0)]
    assert best_null_threshold(readings, never) == 3.0 + MARGIN
    assert best_null_threshold(readings, always) == -2.0 - MARGIN
    assert best_null_threshold([reading("", 1.0)] * 2, always) == 0.0
    assert best_null_threshold([reading("Anna", float("nan"))] * 2, always) == 0.0


class Pointer:
    """A model that points at one word piece with 10, and at [CLS]."""

    def __init__(self, target: int, cls: float) -> None:
        self.target, self.cls = target, cls

    def run(self, ids: np.ndarray, *_: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = np.where(ids[0] == self.target, 5.0, 0.0).astype(np.float32)
        found[0] = self.cls / 2
        return found, found


def test_no_answer_has_to_win_by_the_threshold(tokenizer: Any) -> None:
    target = tokenizer.convert_tokens_to_ids("oslo")

    def text(cls: float, threshold: float, may_abstain: bool = True) -> str:
        model = Pointer(target, cls)
        answerer = Answerer(
            model, tokenizer, Limits(), may_abstain=may_abstain, null_threshold=threshold
        )
        return answerer.answer("where?", "anna of oslo").text

    assert [text(12.0, limit) for limit in (-3.0, 0.0, 1.5, 2.0, 2.5)] == [""] * 4 + ["oslo"]
    assert [text(8.0, limit) for limit in (-3.0, -2.0, -1.5, 0.0)] == ["", "", "oslo", "oslo"]
    assert text(12.0, -3.0, may_abstain=False) == "oslo"
    assert decode([], [], Limits(), may_abstain=True, null_threshold=1.0) == (0, 0, 0.0)


def test_a_question_without_text_gets_no_answer(tokenizer: Any) -> None:
    answerer = Answerer(Pointer(tokenizer.convert_tokens_to_ids("oslo"), 0.0), tokenizer, Limits())
    assert answerer.answer("where?", "anna of oslo").text == "oslo"
    for blank in ("", " \t", "\u200b"):
        assert answerer.answer(blank, "anna of oslo").text == ""


def test_apps_are_asked_no_question_without_text() -> None:
    questions = asked(("Anna",), ("Rome",), ("Oslo",))
    blank = replace(questions.questions[0], text=" ")
    questions = replace(questions, questions=(blank, *questions.questions[1:]))
    picked = golden.cases(questions.questions, 2, 384)
    assert all(question.strip() for question, _ in picked)
    document = golden.questions_document(questions)
    assert document["available"] == len(document["questions"]) == 2 < VALID_QUERIES


def test_the_task_tells_the_language_and_what_was_mended() -> None:
    data = QuestionData()
    train = replace(asked(("Anna",)), name="train.json", repairs={"ids_made": 3})
    evaluation = replace(asked(("玛拉",), language="zh"), is_language_known=True)
    assert list(TASK.notes(data, train, evaluation)) == [
        "train.json: missing ids, made from the question's place: 3",
        "scores: by the rules of the language zh (found in the passages)",
    ]
    unknown = replace(evaluation, language="en", is_language_known=False)
    assert list(TASK.notes(data, unknown)) == [
        "scores: by the rules of the language en, since the passages do not tell it"
    ]
    settled = TASK.settled(data, evaluation)
    assert settled == replace(data, language="zh") and TASK.scoring(settled) == "zh"
    assert list(TASK.notes(settled, evaluation, evaluation)) == [
        "scores: by the rules of the language zh"
    ]


@pytest.mark.parametrize(("language", "fine"), [("auto", True), ("pt-BR", True), ("german", False)])
def test_a_language_is_a_code(language: str, fine: bool) -> None:
    problems = list(TASK.problems(QuestionBuild(data=QuestionData(language=language))))
    assert bool(problems) != fine
    assert fine or "--language german: give a code" in problems[0]


def test_only_data_of_both_kinds_is_calibrated() -> None:
    both, answered = asked(("Anna",), ()), asked(("Anna",))
    assert TASK.calibrates(TASK.traits(both), both)
    assert not TASK.calibrates(TASK.traits(both), answered)
    assert not TASK.calibrates(TASK.traits(answered), both)


def test_the_threshold_is_described_only_where_there_is_one() -> None:
    data = QuestionData()
    assert "null_threshold" not in TASK.describe(data, {"may_abstain": True})
    about = TASK.describe(data, {"may_abstain": True, "null_threshold": 1.5})
    assert (about["may_abstain"], about["null_threshold"]) == (True, 1.5)
