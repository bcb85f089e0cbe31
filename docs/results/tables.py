# SPDX-License-Identifier: Apache-2.0
"""The parts that the tables of several pages share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.measure.machine import instructions
from benchmarks.measure.schema import Metric
from benchmarks.page import markdown
from benchmarks.page.scores import plain, score_of

Results = Mapping[str, Any]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table, line by line."""
    return markdown.grid(header, rows).splitlines()


def ratios(rows: Sequence[Results], digits: int) -> list[str]:
    """The table of speedups with their confidence intervals."""
    return table(
        ["faster", "slower", "times faster (95 % interval)"],
        [
            [
                f"{r['faster']}, {r['faster_lengths']}",
                f"{r['slower']}, {r['slower_lengths']}",
                f"{r['ratio']:.{digits}f} ({r['low']:.{digits}f} to {r['high']:.{digits}f})",
            ]
            for r in rows
        ],
    )


def machine(entry: Results) -> list[str]:
    """The versions and the machine behind the figures."""
    versions = ", ".join(f"{k} {v}" for k, v in entry["versions"].items() if v)
    machine = "; ".join(
        f"{k} {v}" for k, v in entry["machine"].items() if isinstance(v, (str, int, float))
    )
    processor = instructions(entry["machine"])
    machine += f"; instruction set {processor}" if processor else ""
    return [f"Versions: {versions}.", "", f"Machine: {machine}.", ""]


def threads(number: int) -> str:
    """A number of threads in words."""
    return f"{number} thread" if number == 1 else f"{number} threads"


def score(metric: Metric, entry: Results) -> str:
    """A score of a file or model with the decimals of its unit; a dash where it was not scored."""
    value = score_of(metric, entry)
    return "-" if value is None else plain(metric, value)


def megabytes(size: int | None, without: int | None = 0, digits: int = 0) -> str:
    """Bytes as millions, without those of an empty process; a dash where one is not known."""
    return "-" if size is None or without is None else f"{(size - without) / 1e6:.{digits}f}"
