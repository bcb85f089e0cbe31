# SPDX-License-Identifier: Apache-2.0
"""What a page opens with: figures that need no knowledge of the field."""

from __future__ import annotations

from benchmarks.measure.schema import NATURAL, PADDED, Latency, Ratio
from benchmarks.measure.session import NOT_VALID
from benchmarks.page.layout import DASH, TIMES, Fact, interval, three_digits


def size_fact(name: str, size: float, other: str, other_size: float) -> Fact:
    """How much smaller the file `name` is than another, in bytes."""
    times = other_size / size
    return Fact(
        f"{three_digits(max(times, 1 / times) if times else 0)}{TIMES}",
        "smaller" if times >= 1 else "larger",
        f"{name} is {three_digits(size / 1e6)} MB; {other} is {three_digits(other_size / 1e6)} MB.",
    )


def speed_fact(latency: Latency, first: Ratio) -> Fact:
    """How much faster one subject is than another; the same two like for like in the sentence."""
    lengths = {NATURAL: "at natural lengths", PADDED: f"padded to {latency['padded_length']}"}
    if first["faster_lengths"] == first["slower_lengths"]:
        against = f"{first['faster']} against {first['slower']}, both "
        against += lengths[first["faster_lengths"]]
    else:
        against = f"{first['faster']} {lengths[first['faster_lengths']]} against "
        against += f"{first['slower']} {lengths[first['slower_lengths']]}"
    bounds = interval(first["low"], first["high"])
    sentence = f"Mean time per question, {against}; 95% interval {bounds}."
    if first["faster_lengths"] != first["slower_lengths"]:
        same = [
            f"{three_digits(other['ratio'])}{TIMES} with both {lengths[other['faster_lengths']]}"
            for other in latency["ratios"]
            if (other["faster"], other["slower"]) == (first["faster"], first["slower"])
            and other["faster_lengths"] == other["slower_lengths"]
        ]
        sentence += f" Like for like: {', '.join(same)}." if same else ""
    if latency["method"].startswith(NOT_VALID):
        sentence += " NOT VALID: too few queries, or too short a time, for a figure to rely on."
    if latency["busy"]:
        sentence += " Read it with caution: this page says why."
    label = "faster" if first["ratio"] >= 1 else "the speed"
    return Fact(f"{three_digits(first['ratio'])}{TIMES}", label, sentence)


def f1_fact(name: str, f1: float | None, other: str, other_f1: float | None, data: str) -> Fact:
    """How much of another's F1 the file `name` keeps, percent on the questions of `data`."""
    label = f"of {other}'s F1 kept"
    if f1 is None or other_f1 is None:
        return Fact(DASH, label, "F1 was not measured for both.")
    sentence = f"{name} has F1 {f1:.1f}, {other} {other_f1:.1f}, on {data}."
    if other_f1 == 0:
        return Fact(DASH, label, f"{sentence} There is no share of 0.")
    return Fact(f"{100 * f1 / other_f1:.1f}%", label, sentence)
