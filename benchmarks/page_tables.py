# SPDX-License-Identifier: Apache-2.0
"""Tables of a benchmark's page."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.layout import Column, Table, decimals_of, interval, number
from benchmarks.schema import NATURAL, PADDED, Subject


def times_table(
    title: str, subjects: Mapping[str, Subject], f1: Mapping[str, float | None]
) -> Table:
    """Milliseconds a query: percentiles, and the mean with its interval."""
    timed = [
        (name, lengths, times)
        for lengths in (NATURAL, PADDED)
        for name, subject in subjects.items()
        if (times := subject[lengths])
    ]
    digits = decimals_of([times["p50"] for _, _, times in timed])
    return Table(
        title,
        [
            Column("Subject", [name for name, _, _ in timed]),
            Column("Lengths", [lengths for _, lengths, _ in timed]),
            number("p50", [times["p50"] for _, _, times in timed], digits),
            number("p90", [times["p90"] for _, _, times in timed], digits),
            number("p99", [times["p99"] for _, _, times in timed], digits),
            number("mean", [times["mean"] for _, _, times in timed], digits),
            Column(
                "95% interval of mean",
                [interval(t["mean_low"], t["mean_high"], digits) for _, _, t in timed],
                "number",
            ),
            number("F1", [f1[name] for name, _, _ in timed], 1),
        ],
    )
