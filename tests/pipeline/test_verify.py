# SPDX-License-Identifier: Apache-2.0
"""The gates: open for what is equal, shut for what is broken, and shut for what is no number."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import torch
from conftest import MakeTeacher
from transformers import BertForQuestionAnswering

from converters.runtimes.torch import TorchPredictor
from pipeline import settings
from pipeline.fields import Gate, Limit
from pipeline.tasks.question_answering import TASK
from pipeline.tasks.question_answering.evaluate import Answer, Answerer
from pipeline.tasks.question_answering.features import Limits
from pipeline.tasks.question_answering.squad import Question, QuestionSet
from pipeline.verify import Run, compare, run

NAMES = [
    "max_logit_error",
    "mean_logit_error",
    "changed_predictions",
    "padding_changes",
    "score_drop",
]
LIMITS = Limits(max_length=40, stride=12, max_query=10, max_answer=6)


def gate(**limits: float) -> Gate:
    return Gate(**{name: Limit(limits.get(name, 0.0), "a test") for name in NAMES})


def made_up(
    values: list[list[float]], answers: tuple[str, ...] = ("a", "b", "c", "d"), f1: float = 50.0
) -> Run:
    """A run over one question with one window, and the answers as they are told."""
    start, end = (np.array(row, np.float32) for row in values)
    found = tuple(Answer(text, 0, len(text), 0.0) for text in answers)
    return Run((([(start, end)]),), found, {"f1": f1, "exact_match": 50.0})


REFERENCE = made_up([[1.0, 2.0], [3.0, 4.0]])


def figures(report: dict[str, Any]) -> dict[str, Any]:
    return {check["name"]: check["value"] for check in report["checks"]}


def failed(report: dict[str, Any]) -> set[str]:
    return {check["name"] for check in report["checks"] if not check["passed"]}


def test_equal_passes_at_limits_of_zero() -> None:
    report = compare(TASK, REFERENCE, REFERENCE, REFERENCE, gate())
    assert report["passed"] is True
    assert figures(report) == dict.fromkeys(NAMES, 0.0)
    for check in report["checks"]:
        assert check["rule"] == "<=" and check["limit"] == 0.0 and check["reason"] == "a test"
    assert [check["lengths"] for check in report["checks"]] == [
        *("both", "both", "natural", "padded", "natural")
    ]


def test_figures_by_hand() -> None:
    # Differences 0.5, 0, 0, 0.25: the largest 0.5, the mean 0.75 / 4; padded 0, 1, 0, 0: largest 1,
    # mean 1 / 4.  The larger of each pair counts.  Two of four answers differ: 50 %.
    file = made_up([[1.5, 2.0], [3.0, 4.25]], ("a", "c", "b", "d"), f1=48.5)
    padded = made_up([[1.0, 1.0], [3.0, 4.0]], ("x", "c", "y", "d"))
    report = compare(TASK, file, padded, REFERENCE, gate())
    assert figures(report) == {
        "max_logit_error": 1.0,
        "mean_logit_error": 0.25,
        "changed_predictions": 50.0,
        "padding_changes": 50.0,
        "score_drop": 1.5,
    }
    assert failed(report) == set(NAMES) and report["passed"] is False


@pytest.mark.parametrize("name", NAMES)
def test_each_limit_alone_shuts_the_gate(name: str) -> None:
    file = made_up([[1.5, 2.0], [3.0, 4.25]], ("a", "c", "b", "d"), f1=48.5)
    padded = made_up([[1.5, 2.0], [3.0, 4.25]], ("a", "b", "c", "d"))
    exact = figures(compare(TASK, file, padded, REFERENCE, gate()))
    assert compare(TASK, file, padded, REFERENCE, gate(**exact))["passed"], (
        "a limit itself is allowed"
    )
    report = compare(TASK, file, padded, REFERENCE, gate(**exact | {name: exact[name] - 0.001}))
    assert failed(report) == {name} and not report["passed"]


@pytest.mark.parametrize(
    ("limit", "changed", "passed"),
    [(0.5, 0, True), (0.5, 1, True), (0.5, 2, False), (25.0, 1, True), (0.0, 1, False)],
)
def test_one_near_tie_of_few_examples_is_allowed_where_ties_are(
    limit: float, changed: int, passed: bool
) -> None:
    # One of four is 25 %, which says nothing of a share of 0.5 % in many; a limit of 0 stays 0.
    answers = ("x", "y")[:changed] + ("a", "b", "c", "d")[changed:]
    padded = made_up([[1.0, 2.0], [3.0, 4.0]], answers)
    report = compare(TASK, REFERENCE, padded, REFERENCE, gate(padding_changes=limit))
    assert report["passed"] is passed
    check = report["checks"][NAMES.index("padding_changes")]
    assert check["limit"] == (25.0 if limit else 0.0)
    assert check["reason"] == ("a test; one of 4 is more than 0.5 %" if limit == 0.5 else "a test")


def test_a_sample_is_compared_with_its_own_examples() -> None:
    """Padded runs of the second of two questions alone."""
    file = Run(
        ([(np.array([1.0, 2.0]), np.array([3.0, 4.0]))], [(np.array([5.0]), np.array([6.0]))]),
        tuple(Answer(text, 0, 1, 0.0) for text in ("a", "b")),
        {"f1": 50.0},
    )
    padded = Run(file.outputs[1:], file.predictions[1:], {"f1": 0.0})
    report = compare(TASK, file, padded, file, gate(), [1])
    assert report["passed"] and figures(report) == dict.fromkeys(NAMES, 0.0)
    moved = Run(([(np.array([5.5]), np.array([6.0]))],), file.predictions[:1], {"f1": 0.0})
    report = compare(TASK, file, moved, file, gate(), [1])
    assert failed(report) == {"max_logit_error", "mean_logit_error", "padding_changes"}
    assert figures(report)["padding_changes"] == 100.0, "of one example"


def test_better_than_the_reference_is_no_failure() -> None:
    report = compare(
        TASK,
        dataclasses.replace(REFERENCE, scores={"f1": 70.0, "exact_match": 60.0}),
        REFERENCE,
        REFERENCE,
        gate(),
    )
    assert report["passed"] and figures(report)["score_drop"] == -20.0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("where", ["natural", "padded", "reference"])
def test_what_is_no_number_fails_and_is_told_as_none(value: float, where: str) -> None:
    broken = made_up([[1.0, value], [3.0, 4.0]])
    runs = dict.fromkeys(("natural", "padded", "reference"), REFERENCE) | {where: broken}
    generous = gate(**dict.fromkeys(NAMES, 1e9))
    report = compare(TASK, runs["natural"], runs["padded"], runs["reference"], generous)
    assert failed(report) == {"max_logit_error", "mean_logit_error"}
    assert figures(report)["max_logit_error"] is None
    assert figures(report)["mean_logit_error"] is None
    json.dumps(report, allow_nan=False)


def test_nan_on_both_sides_is_not_equal() -> None:
    broken = made_up([[1.0, float("nan")], [3.0, 4.0]])
    assert not compare(TASK, broken, broken, broken, gate(**dict.fromkeys(NAMES, 1e9)))["passed"]


def test_runs_over_other_questions_cannot_be_compared() -> None:
    short = Run((), (), {"f1": 0.0, "exact_match": 0.0})
    with pytest.raises(ValueError):
        compare(TASK, short, short, REFERENCE, gate())


def test_scores_are_rounded_for_documents() -> None:
    run = Run((), (), {"f1": 77.7777, "exact_match": 200 / 3})
    assert run.facts() == {"f1": 77.78, "exact_match": 66.67}


# With models


@pytest.fixture(scope="module")
def questions() -> QuestionSet:
    texts = [
        ("who built the tower?", "The tower of rome was built by anna in 1807. It is old."),
        ("where is the ship?", "A ship in oslo. " * 9),
        ("what is new?", "garden"),
    ]
    return QuestionSet(
        "made up",
        "0" * 64,
        tuple(
            Question(str(i), "", context, text, (context.split()[1 % len(context.split())],), (0,))
            for i, (text, context) in enumerate(texts)
        ),
    )


@pytest.fixture(scope="module")
def model(make_teacher: MakeTeacher) -> Any:
    return BertForQuestionAnswering.from_pretrained(make_teacher(layers=2, head="qa")).eval()


def runs(model: Any, tokenizer: Any, questions: QuestionSet) -> tuple[Run, Run]:
    predictor = TorchPredictor(model, "tiny")
    natural, padded = (
        run(TASK, Answerer(predictor, tokenizer, LIMITS, pad_to=length), questions)
        for length in (None, LIMITS.max_length)
    )
    return natural, padded


def test_run_keeps_every_logit_without_padding(
    model: Any, tokenizer: Any, questions: QuestionSet
) -> None:
    natural, padded = runs(model, tokenizer, questions)
    assert [len(windows) for windows in natural.outputs][0::2] == [1, 1]
    assert len(natural.outputs[1]) > 2, "a long passage has several windows"
    for one, two in zip(natural.outputs, padded.outputs, strict=True):
        for a, b in zip(one, two, strict=True):
            assert a[0].shape == a[1].shape == b[0].shape == b[1].shape
            assert a[0].max() > -100, "no padding among them"
    asked = [q.context for q in questions.questions]
    assert all(a.text in c for a, c in zip(natural.predictions, asked, strict=True))


def test_run_scores_what_the_answerer_answers(
    model: Any, tokenizer: Any, questions: QuestionSet
) -> None:
    answerer = Answerer(TorchPredictor(model, "tiny"), tokenizer, LIMITS)
    expected = [answerer.answer(q.text, q.context).text for q in questions.questions]
    shown: list[Question] = []

    def progress(items: Any) -> Any:
        for item in items:
            shown.append(item)
            yield item

    found = run(TASK, answerer, questions, progress).predictions
    assert [answer.text for answer in found] == expected
    assert shown == list(questions.questions)


def test_the_same_model_passes_the_strictest_gate(
    model: Any, tokenizer: Any, questions: QuestionSet
) -> None:
    natural, padded = runs(model, tokenizer, questions)
    report = compare(TASK, natural, padded, natural, settings.load("embedded").gates["fp32"])
    assert report["passed"], report


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "int8-per-tensor", "int4"])
def test_broken_weight_fails_every_gate(
    model: Any, tokenizer: Any, questions: QuestionSet, precision: str
) -> None:
    reference, _ = runs(model, tokenizer, questions)
    broken = copy.deepcopy(model)
    with torch.no_grad():
        broken.bert.encoder.layer[1].output.dense.weight.mul_(-8.0)
    natural, padded = runs(broken, tokenizer, questions)
    gates = settings.load("embedded").gates
    report = compare(TASK, natural, padded, reference, gates[precision])  # type: ignore[index]
    assert not report["passed"]


def test_model_that_attends_to_its_padding_fails(
    model: Any, tokenizer: Any, questions: QuestionSet
) -> None:
    class Careless(TorchPredictor):
        def run(self, ids: Any, mask: Any, segment_ids: Any) -> Any:
            return super().run(ids, np.ones_like(mask), segment_ids)

    answerers = (
        Answerer(Careless(model, "tiny"), tokenizer, LIMITS, pad_to=length)
        for length in (None, LIMITS.max_length)
    )
    natural, padded = (run(TASK, answerer, questions) for answerer in answerers)
    report = compare(TASK, natural, padded, natural, settings.load("embedded").gates["fp32"])
    assert "max_logit_error" in failed(report)


def test_model_that_gives_nan_fails(model: Any, tokenizer: Any, questions: QuestionSet) -> None:
    reference, _ = runs(model, tokenizer, questions)
    broken = copy.deepcopy(model)
    with torch.no_grad():
        broken.qa_outputs.bias.fill_(float("nan"))
    natural, padded = runs(broken, tokenizer, questions)
    report = compare(TASK, natural, padded, reference, settings.load("embedded").gates["int4"])
    assert {"max_logit_error", "mean_logit_error"} <= failed(report)
    assert figures(report)["max_logit_error"] is None
