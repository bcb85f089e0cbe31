# SPDX-License-Identifier: Apache-2.0
"""What a page opens with: figures that need no knowledge of the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.measure.machine import instructions
from benchmarks.measure.schema import NATURAL, PADDED, Latency, Metric, Ratio
from benchmarks.measure.session import NOT_VALID
from benchmarks.page.layout import DASH, TIMES, Fact, interval, three_digits
from benchmarks.page.scores import first_score, written


def size_fact(name: str, size: float, other: str, other_size: float) -> Fact:
    """How much smaller the file `name` is than another, in bytes."""
    times = other_size / size
    return Fact(
        f"{three_digits(max(times, 1 / times) if times else 0)}{TIMES}",
        "smaller" if times >= 1 else "larger",
        f"{name} is {three_digits(size / 1e6)} MB; {other} is {three_digits(other_size / 1e6)} MB.",
    )


def speed_fact(
    latency: Latency, first: Ratio, machine: Mapping[str, Any], unit: str = "query"
) -> Fact:
    """How much faster one subject is than another; the same two like for like in the sentence.

    Args:
        latency: has both.
        first: the ratio to open with.
        machine: where it was measured, see `benchmarks.measure.machine`.
        unit: what one example is called.
    """
    lengths = {NATURAL: "at natural lengths", PADDED: f"padded to {latency['padded_length']}"}
    if first["faster_lengths"] == first["slower_lengths"]:
        against = f"{first['faster']} against {first['slower']}, both "
        against += lengths[first["faster_lengths"]]
    else:
        against = f"{first['faster']} {lengths[first['faster_lengths']]} against "
        against += f"{first['slower']} {lengths[first['slower_lengths']]}"
    bounds = interval(first["low"], first["high"])
    sentence = f"Mean time per {unit}, {against}; 95% interval {bounds}."
    if first["faster_lengths"] != first["slower_lengths"]:
        same = [
            f"{three_digits(other['ratio'])}{TIMES} with both {lengths[other['faster_lengths']]}"
            for other in latency["ratios"]
            if (other["faster"], other["slower"]) == (first["faster"], first["slower"])
            and other["faster_lengths"] == other["slower_lengths"]
        ]
        sentence += f" Like for like: {', '.join(same)}." if same else ""
    if processor := instructions(machine):
        sentence += f" Measured on {processor}."
    if latency["method"].startswith(NOT_VALID):
        sentence += " NOT VALID: too few queries, or too short a time, for a figure to rely on."
    if latency["busy"]:
        sentence += " Read it with caution: this page says why."
    label = "faster" if first["ratio"] >= 1 else "the speed"
    return Fact(f"{three_digits(first['ratio'])}{TIMES}", label, sentence)


def score_fact(
    metrics: Sequence[Metric],
    mine: tuple[str, Mapping[str, Any] | None],
    other: tuple[str, Mapping[str, Any] | None],
    data: str,
) -> Fact:
    """How much of another's score a file keeps, by the first metric.

    Args:
        metrics: of the document.
        mine: the name of the file, and its entry with `scores`; None where there is none.
        other: the same of what it is compared with.
        data: the name of the data set that both were scored on.
    """
    label = f"of {other[0]}'s {metrics[0]['label'] if metrics else 'score'} kept"
    score, whole = (first_score(metrics, entry) for _, entry in (mine, other))
    if not metrics or score is None or whole is None:
        what = metrics[0]["label"] if metrics else "The score"
        return Fact(DASH, label, f"{what} was not measured for both.")
    metric = metrics[0]
    sentence = (
        f"On {data}, {mine[0]} has {metric['label']} {written(metric, score)}, {other[0]} "
        f"{written(metric, whole)}."
    )
    if whole <= 0:  # a correlation may be negative
        return Fact(DASH, label, f"{sentence} There is no share of {written(metric, whole)}.")
    return Fact(f"{100 * score / whole:.1f}%", label, sentence)
