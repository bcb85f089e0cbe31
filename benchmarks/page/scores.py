# SPDX-License-Identifier: Apache-2.0
"""Scores as people read them. The metrics say what they are called; no metric has a name here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.measure.schema import Metric
from benchmarks.page.layout import Column, number

# Decimals of a score by its unit: a tenth of a point, and as much of a correlation.
DECIMALS: Final = {"%": 1, "": 3}

# The least that an axis spans, by unit: a difference within noise must not look like a cliff.
LEAST_SPAN: Final = {"%": 5.0, "": 0.05}

UNITS: Final = {"%": "in percent", "": "a number from -1 to 1"}


def titled(metric: Metric) -> str:
    """The heading of a metric's column, with its unit."""
    return f"{metric['label']}, {metric['unit']}" if metric["unit"] else metric["label"]


def plain(metric: Metric, value: float) -> str:
    """A score with the decimals of its unit, and without the unit."""
    return f"{value:.{DECIMALS[metric['unit']]}f}"


def written(metric: Metric, value: float) -> str:
    """A score with its unit."""
    return plain(metric, value) + metric["unit"]


def explained(metrics: Sequence[Metric]) -> str:
    """What the scores are measured in, as the beginning of a sentence.

    Args:
        metrics: at least one.
    """
    by_unit: dict[str, list[str]] = {}
    for metric in metrics:
        by_unit.setdefault(metric["unit"], []).append(metric["label"])
    parts = [
        f"{' and '.join(labels)} {'are' if len(labels) > 1 else 'is'} {UNITS[unit]}"
        for unit, labels in by_unit.items()
    ]
    return ", ".join(parts)


def in_words(metrics: Sequence[Metric], entry: Mapping[str, Any] | None) -> str:
    """All scores of an entry with their labels and units; empty where it was not scored."""
    scores = [(metric, score_of(metric, entry)) for metric in metrics]
    return ", ".join(
        f"{metric['label']} {written(metric, one)}" for metric, one in scores if one is not None
    )


def score_of(metric: Metric, entry: Mapping[str, Any] | None) -> float | None:
    """The score of a file or model; None where there is no entry, or it was not scored."""
    scores = entry["scores"] if entry else None
    return scores[metric["name"]] if scores else None


def first_score(metrics: Sequence[Metric], entry: Mapping[str, Any] | None) -> float | None:
    """The score by the first metric; None without one."""
    return score_of(metrics[0], entry) if metrics else None


def score_columns(
    metrics: Sequence[Metric], entries: Sequence[Mapping[str, Any] | None]
) -> list[Column]:
    """A column for each metric, with a dash for what was not scored."""
    return [
        number(titled(metric), [score_of(metric, one) for one in entries], DECIMALS[metric["unit"]])
        for metric in metrics
    ]
