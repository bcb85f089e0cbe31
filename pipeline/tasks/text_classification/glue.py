# SPDX-License-Identifier: Apache-2.0
"""The layouts and the metrics of GLUE's tasks (Wang et al., "GLUE", 2018).

Its files are tab-separated and not quoted.  CoLA's have no header; the labels of test parts are
not published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """One task's columns.

    Attributes:
        text, pair, label: names of columns; the pair is empty where there is none.
        columns: the names of all columns of a file without a header; else none.
        metrics: that the benchmark reports, the first as the headline.
    """

    text: str
    pair: str
    label: str
    columns: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ("accuracy",)


LAYOUTS = {
    "cola": Layout(
        "sentence",
        "",
        "label",
        columns=("source", "label", "star", "sentence"),
        metrics=("matthews_correlation", "accuracy"),
    ),
    "sst2": Layout("sentence", "", "label"),
    "mrpc": Layout("#1 String", "#2 String", "Quality", metrics=("accuracy", "f1")),
    "stsb": Layout("sentence1", "sentence2", "score", metrics=("pearsonr", "spearmanr")),
    "qqp": Layout("question1", "question2", "is_duplicate", metrics=("accuracy", "f1")),
    "mnli": Layout("sentence1", "sentence2", "gold_label"),
    "snli": Layout("sentence1", "sentence2", "gold_label"),
    "qnli": Layout("question", "sentence", "label"),
    "rte": Layout("sentence1", "sentence2", "label"),
    "wnli": Layout("sentence1", "sentence2", "label"),
}


# The label of SNLI and MNLI where the annotators did not agree on one: such rows do not count.
UNDECIDED = "-"


def leaves_out(task: str, column: str) -> bool:
    """Whether `UNDECIDED` is no class of a table.

    The folders of the original releases, such as `snli_1.0`, do not have the name of a task, but
    the column of their labels has a name that no other data use.

    Args:
        task: of GLUE, or "".
        column: of the labels.
    """
    return task in ("mnli", "snli") or column == LAYOUTS["snli"].label


def task_of(name: str) -> str:
    """The key of `LAYOUTS` that a name such as `SST-2` or `glue:sst2` stands for; else ""."""
    plain = name.rpartition(":")[2].casefold().replace("-", "").replace("_", "")
    plain = {"mnlimatched": "mnli", "mnlimismatched": "mnli"}.get(plain, plain)
    return plain if plain in LAYOUTS else ""


def task_of_path(path: Path) -> str:
    """The task of a file or a folder, by the folder's name; else ""."""
    return task_of(path.name) or task_of(path.resolve().parent.name)


def has_no_header(row: Sequence[str]) -> bool:
    """Whether the first row of a file is an example of CoLA: source, label, star, sentence."""
    return len(row) == 4 and row[1] in ("0", "1") and row[2] in ("", "*")
