# SPDX-License-Identifier: Apache-2.0
"""The tables of `pipeline.glue`, beside the paper's Tables 1 and 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from benchmarks.page.layout import Column, Page, Section, Table
from pipeline.experiment import Record, mean, median, shown

# The tasks in the paper's order, with the Hub's names.
TASKS: Final = {
    "CoLA": "cola",
    "MNLI": "mnli",
    "MRPC": "mrpc",
    "QNLI": "qnli",
    "QQP": "qqp",
    "RTE": "rte",
    "SST-2": "sst2",
    "STS-B": "stsb",
    "WNLI": "wnli",
}
IMDB, SQUAD = "IMDb", "SQuAD"
# What the benchmark reports for each; all others have accuracy.
METRICS: Final = {
    "CoLA": ("matthews_correlation",),
    "MRPC": ("accuracy", "f1"),
    "QQP": ("accuracy", "f1"),
    "STS-B": ("pearsonr", "spearmanr"),
}
# Table 1 of arXiv 1910.01108: medians of five runs on the development parts.
TABLE_1: Final = {
    "ELMo": (44.1, 68.6, 76.6, 71.1, 86.2, 53.4, 91.5, 70.4, 56.3),
    "BERT-base": (56.3, 86.7, 88.6, 91.8, 89.6, 69.3, 92.7, 89.0, 53.5),
    "DistilBERT": (51.3, 82.2, 87.5, 89.2, 88.5, 59.9, 91.3, 86.9, 56.3),
}
# Table 2: accuracy, exact match, F1.
TABLE_2: Final[dict[str, tuple[float | None, ...]]] = {
    "BERT-base": (93.46, 81.2, 88.5),
    "DistilBERT": (92.82, 77.7, 85.8),
    "DistilBERT (D)": (None, 79.1, 86.9),
}


class Names(NamedTuple):
    """How the rows and MNLI's second part are called in the record."""

    student: str
    plain: str
    elmo: str
    mismatched: str


def page(record: Record, names: Names) -> Page:
    """Both tables.

    Args:
        record: of the runs that have ended; runs of other settings do not count.
        names: see the class.
    """
    ours = _rows(record, names)
    there = [task for task in TASKS if any(_score(r, task, names) is not None for r in ours)]
    sections = []
    if there:
        sections.append(_glue(ours, there, names))
    if any(_has(entries, IMDB) or _has(entries, SQUAD) for entries in ours):
        sections.append(_others(ours))
    sentence = f"Scores on the development parts in percent{_medians(record)}."
    return Page("glue", "GLUE, IMDb and SQuAD", sentence, [], [], sections)


def _medians(record: Record) -> str:
    """How many runs the scores are medians of, the end of a sentence."""
    seeds: dict[str, set[int]] = {}
    for run in record.runs:
        seeds.setdefault(run["data"], set()).add(run["seed"])
    counts = {name: len(found) for name, found in seeds.items()}
    if max(counts.values(), default=1) == 1:
        return ", of one run"
    if len({*counts.values()}) == 1:
        return f"; medians of {max(counts.values())} runs with different seeds"
    several = [f"{count} ({name})" for name, count in counts.items() if count > 1]
    return f", of one run or as medians of several with different seeds: {', '.join(several)}"


class Row(NamedTuple):
    """One model's name in the tables, and its scores in each run: (data, scores by metric)."""

    name: str
    scores: Sequence[tuple[str, Mapping[str, float]]]


def _rows(record: Record, names: Names) -> list[Row]:
    """Our models that have scores, in the order of the tables."""
    order = [
        (names.elmo, names.elmo, "model"),
        ("teacher", names.student, "teacher"),
        (names.plain, names.plain, "student"),
        (names.student, names.student, "student"),
    ]
    files = {
        name
        for entry in record.runs
        for name in entry["scores"]
        if name not in ("model", "teacher", "student")
    }
    order += [(name, names.student, name) for name in sorted(files)]
    rows = [
        Row(
            title,
            [
                (e["data"], e["scores"][m])
                for e in record.runs
                if e["row"] == row and e["scores"].get(m) is not None
            ],
        )
        for title, row, m in order
    ]
    return [row for row in rows if row.scores]


def _has(row: Row, data: str) -> bool:
    return any(name == data for name, _ in row.scores)


def _metric(row: Row, data: str, metrics: Sequence[str]) -> float | None:
    """The median over the seeds of the mean of some metrics."""
    values = [
        mean([scores.get(metric) for metric in metrics])
        for name, scores in row.scores
        if name == data
    ]
    return median(value for value in values if value is not None)


def _score(row: Row, task: str, names: Names) -> float | None:
    """One task's figure; MNLI's is the mean of its two parts where both were scored."""
    metrics = METRICS.get(task, ("accuracy",))
    score = _metric(row, task, metrics)
    if task == "MNLI" and score is not None:
        second = _metric(row, names.mismatched, metrics)
        return score if second is None else mean([score, second])
    return score


def _glue(ours: Sequence[Row], there: Sequence[str], names: Names) -> Section:
    places = [list(TASKS).index(task) for task in there]
    lines: list[tuple[str, list[float | None]]] = [
        (f"paper: {model}", [scores[place] for place in places])
        for model, scores in TABLE_1.items()
    ]
    lines += [(row.name, [_score(row, task, names) for task in there]) for row in ours]
    columns = [Column("", [name for name, _ in lines])]
    columns.append(Column("score", [shown(mean(scores)) for _, scores in lines], "number"))
    columns += [
        Column(task, [shown(scores[place]) for _, scores in lines], "number")
        for place, task in enumerate(there)
    ]
    absent = [task for task in TASKS if task not in there]
    left_out = (
        f" The score is the mean over {len(there)} of the nine tasks, in the paper's rows too: "
        f"without {', '.join(absent)}."
        if absent
        else " The score is the mean over the nine tasks."
    )
    sentences = [
        "CoLA: Matthews correlation; MRPC and QQP: mean of accuracy and F1; STS-B: mean of "
        "Pearson's and Spearman's correlation; all others: accuracy, that of MNLI over its matched "
        "and mismatched parts. The paper does not say which metric it shows where a task has two."
        + left_out
    ]
    if not any(row.name == names.elmo for row in ours):
        sentences.append("ELMo was not run again: its row holds the paper's figures alone.")
    return Section("table-1", "Table 1: GLUE", sentences, [Table("", columns)])


def _others(ours: Sequence[Row]) -> Section:
    lines: list[tuple[str, Sequence[Any]]] = [
        (f"paper: {model}", scores) for model, scores in TABLE_2.items()
    ]
    lines += [
        (
            row.name,
            [
                _metric(row, IMDB, ("accuracy",)),
                _metric(row, SQUAD, ("exact_match",)),
                _metric(row, SQUAD, ("f1",)),
            ],
        )
        for row in ours
        if _has(row, IMDB) or _has(row, SQUAD)
    ]
    heads = ("IMDb accuracy", "SQuAD exact match", "SQuAD F1")
    columns = [Column("", [name for name, _ in lines])]
    columns += [
        Column(head, [shown(scores[place]) for _, scores in lines], "number")
        for place, head in enumerate(heads)
    ]
    sentence = "(D) is a student with the second distillation step on the task."
    return Section("table-2", "Table 2: IMDb and SQuAD", [sentence], [Table("", columns)])
