# SPDX-License-Identifier: Apache-2.0
"""The scores of classes and of numbers, all in percent; scikit-learn and SciPy compute them.

Their names are those of the Hugging Face Hub.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeline.tasks.text_classification import glue

if TYPE_CHECKING:
    from benchmarks.measure.schema import Metric

LABELS: Final = {
    "accuracy": "Accuracy",
    "f1": "F1",
    "matthews_correlation": "Matthews",
    "pearsonr": "Pearson",
    "spearmanr": "Spearman",
}
METRICS: Final[list[Metric]] = [
    {"name": name, "label": label, "unit": "%"} for name, label in LABELS.items()
]
OF_CLASSES: Final = ("accuracy", "f1")
CLASS_METRICS: Final = ("accuracy", "f1", "matthews_correlation")
OF_NUMBERS: Final = ("pearsonr", "spearmanr")

# What the card says of them.
MEANING: Final = (
    "Accuracy is the share of texts that get their own class. F1 is that of the last class where "
    "there are two, and the mean over the classes where there are more. Matthews, Pearson and "
    "Spearman are correlations in percent; a model that always predicts the same gets 0."
)


def wanted(regression: bool, task: str, chosen: str) -> tuple[str, ...]:
    """The metrics of a data set, the headline's first.

    Args:
        regression: whether numbers are predicted.
        task: of GLUE, or "".
        chosen: the metric that was asked for, or `auto`.
    """
    usual: tuple[str, ...] = OF_NUMBERS if regression else OF_CLASSES
    if task and not regression:
        usual = glue.LAYOUTS[task].metrics
    if chosen == "auto":
        return usual
    return (chosen, *(name for name in usual if name != chosen))


def fits(metric: str, regression: bool) -> bool:
    """Whether a metric is one of numbers, or one of classes."""
    return metric == "auto" or (metric in OF_NUMBERS) == regression


def compute(
    names: Sequence[str], gold: Sequence[Any], predicted: Sequence[Any], classes: int = 0
) -> dict[str, float]:
    """Metrics in percent, unrounded.

    Args:
        names: which, in the order of the result.
        gold: the places of the classes, or numbers.
        predicted: the same of a model.
        classes: how many there are; 0 for numbers.
    """
    return {name: 100.0 * _RULES[name](gold, predicted, classes) for name in names}


def _accuracy(gold: Sequence[int], predicted: Sequence[int], classes: int) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(gold, predicted))


def _f1(gold: Sequence[int], predicted: Sequence[int], classes: int) -> float:
    """Of the last class where there are two; else the mean over the classes that occur."""
    from sklearn.metrics import f1_score

    if classes == 2:
        return float(f1_score(gold, predicted, pos_label=1, average="binary", zero_division=0.0))
    return float(f1_score(gold, predicted, average="macro", zero_division=0.0))


def _matthews(gold: Sequence[int], predicted: Sequence[int], classes: int) -> float:
    from sklearn.metrics import matthews_corrcoef

    if len(set(gold)) < 2 or len(set(predicted)) < 2:
        return _undefined("matthews_correlation", "class")
    return float(matthews_corrcoef(gold, predicted))


def _pearson(gold: Sequence[float], predicted: Sequence[float], classes: int) -> float:
    from scipy.stats import pearsonr

    return _correlation("pearsonr", pearsonr, gold, predicted)


def _spearman(gold: Sequence[float], predicted: Sequence[float], classes: int) -> float:
    from scipy.stats import spearmanr

    return _correlation("spearmanr", spearmanr, gold, predicted)


def _correlation(
    name: str, rule: Callable[..., Any], gold: Sequence[float], predicted: Sequence[float]
) -> float:
    finite = np.isfinite(np.asarray(predicted, np.float64)).all()
    if not finite or np.ptp(gold) == 0 or np.ptp(predicted) == 0:
        return _undefined(name, "number")
    return float(rule(gold, predicted)[0])


def _undefined(name: str, what: str) -> float:
    """0, as GLUE's script and scikit-learn have it, with a line that says so."""
    print(
        f"{LABELS[name]} is not defined where every example has the same {what}: taken as 0",
        file=sys.stderr,
    )
    return 0.0


_RULES: Final[dict[str, Callable[[Sequence[Any], Sequence[Any], int], float]]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "matthews_correlation": _matthews,
    "pearsonr": _pearson,
    "spearmanr": _spearman,
}
