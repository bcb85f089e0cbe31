# SPDX-License-Identifier: Apache-2.0
"""Losses against formulas by hand, what goes together, and a gate that shuts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pipeline.errors import UserError
from pipeline.fields import Gate, Limit
from pipeline.tasks.text_classification import TASK, golden
from pipeline.tasks.text_classification.data import Text, TextSet
from pipeline.tasks.text_classification.evaluate import Prediction
from pipeline.tasks.text_classification.features import Feature
from pipeline.tasks.text_classification.settings import TextBuild, TextData
from pipeline.verify import compare, run


def texts(*labels: str, pair: str | None = None, regression: bool = False) -> TextSet:
    examples = tuple(Text(f"the tower {n}", pair, each) for n, each in enumerate(labels))
    named = () if regression else tuple(sorted(set(labels)))
    return TextSet("set", "0", examples, named, regression)


def feature(label: int | float) -> Feature:
    return Feature(np.zeros(3, np.int32), np.zeros(3, np.int32), label)


# Losses.


def test_the_loss_on_classes_is_their_cross_entropy() -> None:
    batch = TASK.gold([feature(1), feature(0)])
    assert batch["label"].dtype == torch.int64
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])
    # Shares of the right classes: 3/4 and 1/2.
    expected = (-math.log(0.75) - math.log(0.5)) / 2
    assert float(TASK.gold_loss([logits], batch)) == pytest.approx(expected, rel=1e-6)


def test_the_loss_on_numbers_is_their_squared_error() -> None:
    batch = TASK.gold([feature(1.5), feature(4.0)])
    assert batch["label"].dtype == torch.float32
    logits = torch.tensor([[1.0], [2.0]])
    assert float(TASK.gold_loss([logits], batch)) == pytest.approx((0.25 + 4.0) / 2)


def test_the_soft_loss_on_classes_is_the_divergence_at_the_temperature() -> None:
    student, teacher = torch.tensor([[0.0, 2.0]]), torch.tensor([[4.0, 0.0]])
    warmth = 2.0
    p, q = (F.softmax(one[0] / warmth, -1).tolist() for one in (teacher, student))
    expected = warmth**2 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    found = TASK.soft_loss([student], [teacher], warmth)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_the_soft_loss_on_numbers_is_the_squared_error() -> None:
    found = TASK.soft_loss([torch.tensor([[1.0], [3.0]])], [torch.tensor([[2.0], [3.0]])], 2.0)
    assert float(found) == pytest.approx(0.5)


# Labels of data and of heads.


def test_the_training_data_number_the_classes_and_a_dev_part_may_lack_one() -> None:
    traits = TASK.traits(texts("b", "a", "c"))
    assert traits == {"labels": ["a", "b", "c"], "regression": False, "pair": False}
    assert TASK.agreed(traits, texts("a", "c"), {}) == traits and TASK.labels(traits) == 3


def test_a_label_that_only_the_dev_part_has_is_refused() -> None:
    with pytest.raises(UserError, match=r"set has the label 'd'.*allowed are a, b"):
        TASK.agreed(TASK.traits(texts("a", "b")), texts("a", "d"), {})


def test_numbers_take_the_range_of_the_training_data() -> None:
    traits = TASK.traits(texts("0.5", "4.0", regression=True))
    assert traits == {"labels": [], "regression": True, "pair": False, "range": 3.5}
    assert TASK.labels(traits) == 1
    assert TASK.agreed(traits, texts("1", "2"), {"m": ("LABEL_0",)}) == traits
    with pytest.raises(UserError, match="the label 'a', and a number is predicted"):
        TASK.agreed(traits, texts("1", "a"), {})
    with pytest.raises(UserError, match="m has a head of 2 outputs"):
        TASK.agreed(traits, texts("1", "2"), {"m": ("LABEL_0", "LABEL_1")})


@pytest.mark.parametrize(
    ("data", "head", "expected"),
    [
        (("neg", "pos"), ("POS", "NEG"), ["POS", "NEG"]),
        (("0", "1"), ("NEGATIVE", "POSITIVE"), ["NEGATIVE", "POSITIVE"]),
        (("a", "b"), ("LABEL_0", "LABEL_1"), ["a", "b"]),
        (("0", "2"), ("LABEL_0", "LABEL_1", "LABEL_2"), ["0", "1", "2"]),
        (("a", "c"), ("c", "b", "a"), ["c", "b", "a"]),
    ],
    ids=["case", "numbers", "made-up", "made-up-numbers", "more"],
)
def test_a_head_that_came_says_the_order(
    data: tuple[str, ...], head: tuple[str, ...], expected: list[str]
) -> None:
    there = texts(*data)
    assert TASK.agreed(TASK.traits(there), there, {"model": head})["labels"] == expected


@pytest.mark.parametrize(
    "head",
    [("x", "y"), ("LABEL_0",), ("LABEL_0", "LABEL_1", "LABEL_2")],
    ids=["names", "one", "three"],
)
def test_a_head_for_other_classes_is_refused(head: tuple[str, ...]) -> None:
    there = texts("a", "b")
    with pytest.raises(UserError, match=r"model has a head for .* labels a, b"):
        TASK.agreed(TASK.traits(there), there, {"model": head})


def test_what_does_not_go_together_is_refused() -> None:
    one = texts("a", "a")
    with pytest.raises(UserError, match="nothing to tell apart"):
        TASK.agreed(TASK.traits(one), one, {})
    traits = TASK.traits(texts("a", "b"))
    with pytest.raises(UserError, match="single texts and set pairs"):
        TASK.agreed(traits, texts("a", "b", pair="x"), {})
    chosen = TextSet("set", "0", texts("a", "b").examples, ("a", "b"), metric="pearsonr")
    with pytest.raises(UserError, match=r"--metric pearsonr does not fit .* accuracy, f1"):
        TASK.agreed(traits, chosen, {})


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"regression": True, "labels": ("a", "b")}, "give one of the two"),
        ({"labels": ("a", "a")}, "each label once"),
        ({"labels": ("a",)}, "at least two"),
        ({"text_column": "a", "label_column": "a"}, "name each column once"),
    ],
    ids=["both", "twice", "one", "columns"],
)
def test_settings_that_contradict_one_another(settings: dict[str, Any], complaint: str) -> None:
    (problem,) = TASK.problems(TextBuild(data=TextData(**settings)))
    assert complaint in problem


def test_the_configuration_of_the_head() -> None:
    assert TASK.head_settings(TASK.traits(texts("b", "a"))) == {
        "id2label": {0: "a", 1: "b"},
        "label2id": {"a": 0, "b": 1},
        "problem_type": "single_label_classification",
    }
    numbers = TASK.traits(texts("0.5", "1", regression=True))
    assert TASK.head_settings(numbers) == {"problem_type": "regression"}


def test_notes_say_what_was_left_out_and_what_is_hard_to_learn() -> None:
    wide = texts("0.5", "900", regression=True)
    (said,) = TASK.notes(TextData(), wide, wide)
    assert "span 899.5" in said
    short = TextSet("set", "0", texts("a", "b").examples, ("a", "b"), skipped=2)
    assert list(TASK.notes(TextData(), short)) == [
        "set: rows left out, cut off or without a label: 2"
    ]


# Predicting, golden cases, gates.


class ByLength:
    """A model whose logits depend on the length of the input."""

    def __init__(self, *shifts: float) -> None:
        self.shifts = np.array(shifts, np.float32)

    def run(self, ids: Any, mask: Any, segment_ids: Any) -> tuple[np.ndarray]:
        length = float(mask.sum())
        return (np.array([length % 3, 1.0], np.float32)[: len(self.shifts)] + self.shifts,)


def gate(**limits: float) -> Gate:
    names = ("max_logit_error", "mean_logit_error", "changed_predictions", "padding_changes")
    return Gate(**{n: Limit(limits.get(n, 0.0), "a test") for n in (*names, "score_drop")})


def failures(tokenizer: Any, traits: dict[str, Any], examples: TextSet, *shifts: float) -> set[str]:
    """The checks that a file fails whose logits are off by some numbers."""

    def ran(model: Any) -> Any:
        return run(TASK, TASK.reader(model, tokenizer, TextData(), traits), examples)

    reference, file = ran(ByLength(*([0.0] * len(shifts)))), ran(ByLength(*shifts))
    report = compare(TASK, file, file, reference, gate())
    return {check["name"] for check in report["checks"] if not check["passed"]}


def test_a_gate_shuts_on_logits_on_classes_and_on_the_score(tokenizer: Any) -> None:
    examples = TextSet(
        "set",
        "0",
        # 3, 4 and 5 tokens: the first logit is 0, 1 and 2, the second 1; of equals a wins.
        (Text("the", None, "b"), Text("the the", None, "a"), Text("the the the", None, "a")),
        ("a", "b"),
    )
    traits = TASK.traits(examples)
    assert failures(tokenizer, traits, examples, 0.0, 0.0) == set()
    errors = {"max_logit_error", "mean_logit_error"}
    assert failures(tokenizer, traits, examples, 0.1, 0.1) == errors
    assert failures(tokenizer, traits, examples, -5.0, 0.0) >= {
        *errors,
        "changed_predictions",
        "score_drop",
    }


def test_a_gate_shuts_on_numbers_that_differ(tokenizer: Any) -> None:
    examples = texts("1.5", "2.0", "3.0", regression=True)
    traits = {"labels": [], "regression": True, "pair": False, "range": 5.0}
    assert "changed_predictions" not in failures(tokenizer, traits, examples, 0.09)
    assert "changed_predictions" in failures(tokenizer, traits, examples, 0.11)


def test_golden_cases_hold_unusual_texts_and_what_a_file_says(tokenizer: Any) -> None:
    examples = texts("a", "b", "a")
    reader = TASK.reader(
        ByLength(0.0, 0.0), tokenizer, TextData(max_length=16), TASK.traits(examples)
    )
    document = TASK.golden({"file": reader}, examples, 2)
    cases = document["cases"]
    assert [case["text"] for case in cases[2:-1]] == list(golden.UNUSUAL)
    assert len(cases[-1]["ids"]) == 16 and all(len(case["ids"]) <= 16 for case in cases)
    empty = cases[2]
    assert empty["ids"] == [tokenizer.cls_token_id, tokenizer.sep_token_id]
    answer = empty["answers"]["file"]
    assert answer["label"] == "a" and answer["logits"] == [2.0, 1.0]
    assert answer["probability"] == pytest.approx(math.e / (1 + math.e), abs=1e-6)


def test_golden_pairs_are_cut_on_either_side(tokenizer: Any) -> None:
    examples = texts("0.5", "1.5", pair="by the river", regression=True)
    reader = TASK.reader(ByLength(0.0), tokenizer, TextData(max_length=16), TASK.traits(examples))
    cases = TASK.golden({"file": reader}, examples, 2)["cases"]
    assert all("pair" in case and "value" in case["answers"]["file"] for case in cases)
    assert sum(len(case["ids"]) == 16 for case in cases) >= 3
    assert any(case["text"] == case["pair"] == "" for case in cases)


def test_the_documents_for_apps(tmp_path: Path) -> None:
    examples = texts("a", "b", pair="x")
    described = TASK.describe(TextData(), TASK.traits(examples))
    assert described == {
        "labels": ["a", "b"],
        "regression": False,
        "pair": True,
        "limits": {"max_length": 128},
        "truncation": "longest_first",
    }
    document = TASK.device_files(examples)["texts.json"]
    assert document["available"] == 2
    assert document["texts"][0] == {"text": "the tower 0", "pair": "x", "label": "a"}


def test_a_prediction_ranks_its_classes() -> None:
    found = Prediction(("a", "b", "c"), (0.2, 0.5, 0.3))
    assert (found.label, found.probability, found.place) == ("b", 0.5, 1)
    assert [label for label, _ in found.ranked()] == ["b", "c", "a"]
    assert Prediction((), value=1.0).label == ""
