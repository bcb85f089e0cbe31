# SPDX-License-Identifier: Apache-2.0
"""The scores against figures computed by hand, and which of them a data set gets."""

from __future__ import annotations

import pytest

from pipeline.errors import UserError
from pipeline.tasks.text_classification.data import Text, TextSet
from pipeline.tasks.text_classification.evaluate import (
    Prediction,
    place_of,
    probabilities,
    same,
    score,
)
from pipeline.tasks.text_classification.metrics import compute, fits, wanted


def test_two_classes_by_hand() -> None:
    # 3 true positives, 1 false positive, 1 false negative, 2 true negatives.
    gold, predicted = [1, 1, 1, 1, 0, 0, 0], [1, 1, 1, 0, 1, 0, 0]
    found = compute(("accuracy", "f1", "matthews_correlation"), gold, predicted, 2)
    assert found["accuracy"] == pytest.approx(100 * 5 / 7)
    assert found["f1"] == pytest.approx(100 * 2 * 3 / (2 * 3 + 1 + 1))
    assert found["matthews_correlation"] == pytest.approx(
        100 * (3 * 2 - 1 * 1) / (4 * 4 * 3 * 3) ** 0.5
    )
    assert list(found) == ["accuracy", "f1", "matthews_correlation"]


def test_macro_f1_of_three_classes_by_hand() -> None:
    # Class 0: 1 hit, 1 false alarm; class 1: 1 hit, 1 miss; class 2: 1 hit.
    found = compute(("f1",), [0, 1, 1, 2], [0, 1, 0, 2], 3)
    assert found["f1"] == pytest.approx(100 * (2 / 3 + 2 / 3 + 1) / 3)


def test_correlations_by_hand() -> None:
    gold, predicted = [1.0, 2.0, 3.0], [1.0, 2.0, 6.0]
    # Deviations (-1, 0, 1) and (-2, -1, 3): covariance 5, variances 2 and 14.
    found = compute(("pearsonr", "spearmanr"), gold, predicted)
    assert found["pearsonr"] == pytest.approx(100 * 5 / (2 * 14) ** 0.5)
    assert found["spearmanr"] == pytest.approx(100.0)
    # Ranks 1 2 3 4 and 2 1 4 3: rho is 1 - 6 * 4 / (4 * 15).
    swapped = compute(("spearmanr",), [1.0, 2.0, 3.0, 4.0], [0.2, 0.1, 0.4, 0.3])
    assert swapped["spearmanr"] == pytest.approx(100 * (1 - 24 / 60))


@pytest.mark.parametrize("name", ["matthews_correlation", "pearsonr", "spearmanr"])
def test_what_is_not_defined_is_0_with_one_line(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compute((name,), [0, 1, 1], [1, 1, 1], 2) == {name: 0.0}
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and "is not defined" in said[0]


def test_predictions_that_are_no_numbers_have_no_correlation() -> None:
    assert compute(("pearsonr",), [0.0, 1.0], [float("nan"), 1.0]) == {"pearsonr": 0.0}


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("", ("accuracy", "f1")),
        ("sst2", ("accuracy",)),
        ("cola", ("matthews_correlation", "accuracy")),
        ("mrpc", ("accuracy", "f1")),
    ],
    ids=["any", "sst2", "cola", "mrpc"],
)
def test_a_benchmark_has_metrics_of_its_own(task: str, names: tuple[str, ...]) -> None:
    assert wanted(False, task, "auto") == names


def test_a_metric_that_was_chosen_comes_first() -> None:
    assert wanted(False, "", "f1") == ("f1", "accuracy")
    assert wanted(False, "", "matthews_correlation") == ("matthews_correlation", "accuracy", "f1")
    assert wanted(True, "stsb", "spearmanr") == ("spearmanr", "pearsonr")
    assert fits("f1", False) and not fits("f1", True)
    assert fits("pearsonr", True) and not fits("pearsonr", False) and fits("auto", True)


def predicted(place: int, labels: tuple[str, ...] = ("no", "yes")) -> Prediction:
    return Prediction(labels, tuple(float(n == place) for n in range(len(labels))))


def examples(*labels: str, **more: str) -> TextSet:
    named = tuple(sorted(set(labels)))
    return TextSet("set", "0", tuple(Text("", None, each) for each in labels), named, **more)  # type: ignore[arg-type]


def test_scores_count_the_labels_of_the_model() -> None:
    answers = [predicted(0), predicted(1), predicted(1)]
    assert score(answers, examples("no", "yes", "no"))["accuracy"] == pytest.approx(200 / 3)
    assert score(answers, examples("NO", "Yes", "YES"))["accuracy"] == 100.0
    assert score(answers, examples("0", "1", "1"))["accuracy"] == 100.0
    with pytest.raises(UserError, match=r"the label 'maybe'.*allowed are no, yes"):
        score(answers, examples("no", "maybe", "no"))


def test_whole_numbers_of_a_regression_are_numbers() -> None:
    answers = [Prediction((), value=value) for value in (0.1, 2.2, 3.9)]
    found = score(answers, examples("0", "2", "4"))
    assert list(found) == ["pearsonr", "spearmanr"] and found["pearsonr"] > 99


def test_the_place_of_a_label() -> None:
    assert [place_of(each, ("Neg", "Pos")) for each in ("Pos", "neg", "1", "2", "x")] == [
        *(1, 0, 1, None, None)
    ]
    assert place_of("1", ("1", "2")) == 0  # its name comes before its number


def test_a_number_is_no_place_where_classes_are_named_by_numbers() -> None:
    assert place_of("2", ("1", "3", "5")) is None
    assert place_of("0", ("1", "2", "3")) is None
    assert place_of("1", ("-1", "0")) is None
    assert place_of("1", ("2.0", "other")) is None
    answers = [Prediction(("1", "3", "5"), (0.1, 0.2, 0.7))] * 2
    with pytest.raises(UserError, match=r"the label '2'.*allowed are 1, 3, 5"):
        score(answers, examples("5", "2"))


def test_probabilities_are_finite_for_large_logits() -> None:
    import numpy as np

    found = probabilities(np.array([1000.0, 1000.0, -1000.0], np.float32))
    assert found.tolist() == [0.5, 0.5, 0.0]


def test_which_predictions_are_the_same() -> None:
    assert same(Prediction(("a", "b"), (0.9, 0.1)), Prediction(("a", "b"), (0.6, 0.4)))
    assert not same(predicted(0), predicted(1))
    one = Prediction((), value=1.0, range=5.0)
    assert same(one, Prediction((), value=1.09, range=5.0))
    assert not same(one, Prediction((), value=1.11, range=5.0))
