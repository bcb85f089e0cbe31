# SPDX-License-Identifier: Apache-2.0
"""Which figures of a benchmark go into which drawing of `benchmarks.page.plots`."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.measure.schema import (
    NATURAL,
    PADDED,
    Benchmark,
    File,
    Latency,
    Lengths,
    Profile,
    Run,
)
from benchmarks.measure.size import PARTS
from benchmarks.page.layout import Plot, counted, number
from benchmarks.page.plots import (
    Bar,
    Curve,
    Scored,
    Timed,
    accuracy,
    bars,
    curves,
    distribution,
)
from benchmarks.page.scores import first_score
from benchmarks.page.tables import part_name

# Parts of a curve with as many queries each: enough of each for a median.
BINS = 10
BIN_QUERIES = 8

# Hues of the style sheet; after them the same ones dashed.
HUES = 6

PART_ROLES = dict(zip(PARTS, ("c0", "c1", "accent", "c3", "teacher"), strict=True))

KINDS: tuple[tuple[Lengths, str], ...] = ((NATURAL, "natural lengths"), (PADDED, "padded"))

# Roles of names, for `benchmarks.page.plots`.
Roles = Mapping[str, str]


def roles(names: Sequence[str], first: str | None, reference: str | None) -> dict[str, str]:
    """A color for each subject, the same in all plots.

    Args:
        names: of all subjects.
        first: the one that the page is about.
        reference: the one that others are compared with.
    """
    told = {reference: "teacher", first: "accent"}
    others = [name for name in names if name not in told]
    marks = (f"c{place % HUES}{' dash' * (place // HUES % 2)}" for place in range(len(others)))
    return {name: told.get(name) or next(marks) for name in names}


def run_plots(document: Benchmark, runs: Sequence[Run], colors: Roles) -> list[Plot]:
    """Score against latency, latency against length, and how latencies are distributed.

    Args:
        document: that the runs are of.
        runs: with one number of threads.
        colors: as `roles` gives them.
    """
    metrics = document["metrics"]
    scores = {file["name"]: first_score(metrics, file) for file in document["files"]}
    timed = [(n, s, run["latency"]) for run in runs for n, s in run["latency"]["subjects"].items()]
    scored = []
    for name, subject, _ in timed:
        score = scores.get(name)
        if score is not None:
            medians = [times["p50"] if (times := subject[kind]) else None for kind, _ in KINDS]
            scored.append(Scored(name, colors[name], score, *medians))
    every = [t for _, s, _ in timed for t in (s["natural"], s["padded"]) if t]
    ends = [times[end] for times in every for end in ("min", "max")]
    distributions = []
    for kind, words in KINDS:
        shown = [
            Timed(name, colors[name], times, latency["samples_ms"].get(name, {}).get(kind))
            for name, subject, latency in timed
            if (times := subject[kind])
        ]
        title = f"Latency, {words}"
        title += f" to {runs[0]['latency']['padded_length']}" if kind == PADDED else ""
        distributions.append(distribution(title, shown, ends))
    lengths = _lengths(document["queries"]["tokens"], [run["latency"] for run in runs], colors)
    compared = accuracy(metrics[0], scored) if metrics else None
    return [plot for plot in (compared, lengths, *distributions) if plot]


def _lengths(tokens: Sequence[int], runs: Sequence[Latency], colors: Roles) -> Plot | None:
    """Milliseconds of each query against its tokens, and the medians of queries alike in length."""
    shown = []
    for latency in runs:
        for name in latency["subjects"]:
            samples = latency["samples_ms"].get(name, {}).get(NATURAL)
            if samples:
                grid = np.asarray(samples, dtype=np.float64).reshape(latency["rounds"], -1)
                times = [float(t) for t in np.median(grid, axis=0)]  # (rounds, Q) -> (Q,)
                points = list(zip(map(float, tokens), times, strict=True))
                shown.append(Curve(name, colors[name], binned(points), points))
    caption = "Milliseconds (upward, logarithmic) of each query over its tokens, natural "
    caption += "lengths. Lines: medians of queries of about the same length."
    return curves("Latency against length", caption, shown)


def binned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Medians of points alike in x: of the same x where there are few, else of equally many."""
    ordered = sorted(points)
    places = sorted({x for x, _ in ordered})
    if len(places) <= BINS:
        groups = [[point for point in ordered if point[0] == x] for x in places]
    else:
        count = max(2, min(BINS, len(ordered) // BIN_QUERIES))
        groups = [
            [ordered[place] for place in part]
            for part in np.array_split(np.arange(len(ordered)), count)
        ]
    return [
        (statistics.median(x for x, _ in group), statistics.median(y for _, y in group))
        for group in groups
    ]


def sizes(files: Sequence[File]) -> Plot | None:
    """One bar a file, of what its bytes are for."""
    labels = number("", [file["bytes"] / 1e6 for file in files]).cells
    shown = []
    for file, label in zip(files, labels, strict=True):
        parts = file["parts"] or {"rest": file["bytes"]}
        each = [(PART_ROLES[part], float(parts[part])) for part in PARTS if parts.get(part)]
        shown.append(Bar(file["name"], f"{label} MB", each))
    legend = [(role, part_name(part)) for part, role in PART_ROLES.items()]
    caption = "MB (10⁶ bytes) by what they are for."
    return bars("Size", caption, shown, legend)


def threads(runs: Sequence[Run], colors: Roles) -> Plot | None:
    """Mean latency over the number of threads, where there are several."""
    names = dict.fromkeys(name for run in runs for name in run["latency"]["subjects"])
    shown = []
    for name in names:
        line = [
            (float(run["threads"]), times["mean"])
            for run in sorted(runs, key=lambda run: run["threads"])
            if (subject := run["latency"]["subjects"].get(name)) and (times := subject["natural"])
        ]
        if len(line) > 1:
            shown.append(Curve(name, colors[name], line, line))
    caption = "Mean milliseconds a query (upward, logarithmic) over threads, natural lengths."
    return curves("Latency against threads", caption, shown)


def profile_plots(profiles: Sequence[Profile]) -> list[Plot]:
    """Mean milliseconds over length: one plot a number of threads, one line a file and delegate."""
    measured = [(p, p["average_ms"]) for p in profiles if p["average_ms"] is not None]
    keys = list(dict.fromkeys(f"{p['file']} {p['delegate']}" for p, _ in measured))
    colors = roles(keys, None, None)
    drawn = []
    for count in sorted({p["threads"] for p, _ in measured}):
        shown = []
        for key in keys:
            line = [
                (float(p["length"]), average)
                for p, average in sorted(measured, key=lambda one: one[0]["length"])
                if p["threads"] == count and f"{p['file']} {p['delegate']}" == key
            ]
            if line:
                shown.append(Curve(key, colors[key], line, line))
        title = f"Latency against length, {counted(count, 'thread')}"
        caption = "Mean milliseconds of an inference (upward, logarithmic) over its tokens."
        drawn.append(curves(title, caption, shown))
    return [plot for plot in drawn if plot]
