# SPDX-License-Identifier: Apache-2.0
"""The page of `pipeline.ablation`: the scores of each row, and what its file takes in time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.page.figures import roles
from benchmarks.page.layout import DASH, Column, Page, Plot, Section, Table
from benchmarks.page.plots import Curve, curves
from pipeline.experiment import Record, Run, mean, shown

TIMED = "student-int8.tflite"
TOLD_OF_TIMES = (
    f" MB and time are those of {TIMED}. The time is the mean at natural lengths as a share of the "
    "full student's, both taken against the teacher's file, which each build times in turns with "
    "the student's; below 1,024 queries it is a hint, not a figure."
)


@dataclass(frozen=True)
class Ablation:
    """What is left out, a row each.

    Attributes:
        title: of the page.
        subtitle: a sentence on what the page holds.
        preset: of every build.
        full: the row with nothing left out.
        rows: the flags of each other row.
        paper: by how many points a row changed the paper's macro score on GLUE; empty where the
            paper has no such table.
        tasks: whose embedded examples are taken where no data are named.
        timed: also makes and times the int8 .tflite file of each row.
    """

    title: str
    subtitle: str
    preset: str
    full: str
    rows: Mapping[str, tuple[str, ...]]
    paper: Mapping[str, float]
    tasks: Sequence[str]
    timed: bool = False


def page(kind: Ablation, runs: Sequence[Run], record: Record) -> Page:
    """The table: scores of the student, their mean, and its change, beside the paper's if any."""
    names = list(dict.fromkeys(run.data for run in runs))
    seeds = len({run.seed for run in runs})
    rows = [kind.full, *kind.rows]
    found: dict[str, list[float | None]] = {}  # row -> the mean over the seeds for each data set
    for row in rows:
        mine = [[run for run in runs if (run.row, run.data) == (row, name)] for name in names]
        found[row] = [mean(_headlines(record, one)) for one in mine]
    macro = {row: mean(scores) for row, scores in found.items()}
    full = macro[kind.full]
    changes = [
        None if full is None or score is None or row == kind.full else score - full
        for row, score in macro.items()
    ]
    columns = [
        Column("", rows),
        *(
            Column(name, [shown(found[row][place]) for row in rows], "number")
            for place, name in enumerate(names)
        ),
        Column("mean", [shown(score) for score in macro.values()], "number"),
        Column("change", [shown(change, sign=True) for change in changes], "number"),
    ]
    told = (
        f"Each figure is the student's score in percent, the mean over {seeds} "
        f"{'seed' if seeds == 1 else 'seeds'}; change is that of the mean over the data sets."
    )
    if kind.paper:
        theirs = [f"{kind.paper[row]:+.2f}" if row in kind.paper else DASH for row in rows]
        columns.append(Column("paper", theirs, "number"))
        told += (
            " The paper's column is the change of its macro score on GLUE, after distillation on "
            "Wikipedia and BookCorpus: directions can be compared, sizes cannot."
        )
    plots: list[Plot] = []
    if kind.timed:
        shares = {row: _shares(kind, record, runs, row) for row in rows}
        columns += _cost(record, runs, shares)
        told += TOLD_OF_TIMES
        plots += _drawn(kind, record, runs, shares)
    spread = " ".join(f"{row}: {', '.join(_each(record, runs, row, names))}." for row in rows)
    sentences = [told, f"Scores by seed. {spread}"]
    section = Section("ablation", "Ablation", sentences, [Table("", columns)], plots)
    return Page("ablation", kind.title, kind.subtitle, [], [], [section])


def _shares(
    kind: Ablation, record: Record, runs: Sequence[Run], row: str
) -> dict[tuple[str, int], float]:
    """The time of a row's file in percent of the full student's, by data set and seed."""
    found = {}
    for run in runs:
        if run.row == row:
            full = next(
                r for r in runs if (r.row, r.data, r.seed) == (kind.full, run.data, run.seed)
            )
            mine, whole = (_figure(record.find(one), "times_faster", TIMED) for one in (run, full))
            if mine and whole:
                found[run.data, run.seed] = 100 * whole / mine
    return found


def _cost(
    record: Record, runs: Sequence[Run], shares: Mapping[str, Mapping[tuple[str, int], float]]
) -> list[Column]:
    """The columns of the file's score, size and time, a row each."""
    scores, sizes = [], []
    for row in shares:
        entries = [record.find(run) for run in runs if run.row == row]
        scores.append(mean(_headline(entry, TIMED) for entry in entries))
        held = [_figure(entry, "bytes", TIMED) for entry in entries]
        sizes.append(mean(None if each is None else each / 1e6 for each in held))
    times = [mean(found.values()) for found in shares.values()]
    return [
        Column("int8 file", [shown(score) for score in scores], "number"),
        Column("MB", [shown(size) for size in sizes], "number"),
        Column("time, %", [shown(time) for time in times], "number"),
    ]


def _drawn(
    kind: Ablation,
    record: Record,
    runs: Sequence[Run],
    shares: Mapping[str, Mapping[tuple[str, int], float]],
) -> list[Plot]:
    """The student's score over its file's time: a dot for each seed, a name at their mean."""
    drawn, colors = [], roles([*shares], kind.full, None)
    for row, found in shares.items():
        mine = [run for run in runs if run.row == row and (run.data, run.seed) in found]
        places = [
            (found[run.data, run.seed], score)
            for run, score in zip(mine, _headlines(record, mine), strict=True)
            if score is not None
        ]
        if places:
            x, y = (sum(axis) / len(places) for axis in zip(*places, strict=True))
            drawn.append(Curve(row, colors[row], [(x, y)], places))
    caption = "Score in percent over the time of the int8 file in percent of the full student's."
    plot = curves("Score over time", caption, drawn, linear=True)
    return [plot] if plot else []


def _headlines(record: Record, runs: Sequence[Run]) -> list[float | None]:
    """The student's first metric in each run; None for one that has not ended."""
    return [_headline(record.find(run), "student") for run in runs]


def _headline(entry: Mapping[str, Any] | None, name: str) -> float | None:
    """The first metric of a model or a file in an entry of the record; None where it has none."""
    return _figure(entry, "scores", name, entry["metrics"][0]["name"]) if entry else None


def _figure(entry: Any, *keys: str) -> float | None:
    """A number in an entry of the record; None where there is none, as of a run to come."""
    for key in keys:
        entry = entry.get(key) if isinstance(entry, Mapping) else None
    return entry if isinstance(entry, int | float) and math.isfinite(entry) else None


def _each(record: Record, runs: Sequence[Run], row: str, names: Sequence[str]) -> list[str]:
    return [
        f"{name} "
        + " ".join(
            shown(score)
            for score in _headlines(record, [r for r in runs if (r.row, r.data) == (row, name)])
        )
        for name in names
    ]
