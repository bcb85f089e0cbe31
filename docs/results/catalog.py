# SPDX-License-Identifier: Apache-2.0
"""The blocks of Markdown and the single figures that the marks of the pages name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.page.markdown import Markdown
from results import builds, experiments, measured, speed
from results.tables import Results, table

BLOCKS: dict[str, Callable[[Results], str]] = {
    "builds": builds.builds,
    "benchmarks": measured.benchmarks,
    "paper-table-3": measured.paper,
    "training-speed": speed.training,
    "glue": experiments.glue,
    "ablation": experiments.ablations,
}

BASE_SIZE = ("base-size", "student-int8.tflite", "teacher-fp32.tflite")

FIGURES: dict[str, Callable[[Results], str]] = {
    "base-size-teacher-padded": builds.shown(measured.ratio(*BASE_SIZE, ("natural", "padded")), 1),
    "base-size-teacher-natural": builds.shown(
        measured.ratio(*BASE_SIZE, ("natural", "natural")), 1
    ),
    "smallest-bytes-percent": builds.shown(measured.bytes_percent("smallest"), 0),
    "smallest-time-percent": builds.shown(measured.time_percent("smallest"), 0),
    "embedded-kept": builds.shown(builds.kept("embedded", "both", "f1"), 1),
    "embedded-longer-kept": builds.shown(builds.kept("embedded-longer", "both", "f1"), 1),
    "embedded-train-questions": builds.data("embedded", "questions", "train"),
    "embedded-questions": builds.data("embedded", "questions", "train", "eval"),
    "embedded-passages": builds.data("embedded", "passages", "train", "eval"),
}


def block(name: str, results: Results) -> str:
    """The lines of a block, ending in a newline, or "" where nothing was measured.

    Raises:
        ValueError: there is no such block and no such fact.
    """
    if name in BLOCKS:
        return BLOCKS[name](results)
    value = _fact(name, results)
    if isinstance(value, list):
        header, *rows = ([Markdown(cell) for cell in row] for row in value)  # as it was recorded
        return "\n".join(table(header, rows)) + "\n"
    return f"```\n{value}\n```\n"


def figure(name: str, results: Results) -> str:
    """One figure.

    Raises:
        ValueError: there is no such figure and no such fact.
    """
    return FIGURES[name](results) if name in FIGURES else str(_fact(name, results))


def _fact(name: str, results: Results) -> Any:
    try:
        return results["facts"][name]["value"]
    except KeyError:
        raise ValueError(
            f"nothing is called {name!r}: record it (docs/make_results.py fact), or correct the mark"
        ) from None
