# SPDX-License-Identifier: Apache-2.0
"""The settings that only text classification has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field
from tyro.conf import OmitArgPrefixes

from pipeline.config import Build, Data

# What `--metric` takes beside `auto`: the keys of `metrics.LABELS`.
Metric = Literal["accuracy", "f1", "matthews_correlation", "pearsonr", "spearmanr"]


@dataclass(frozen=True)
class TextData(Data):
    """The texts with their labels, and how they are read."""

    train_file: str = "embedded"
    """Train on these texts: `embedded`; a file (.csv, .tsv, .jsonl, .json, .gz or not); a folder
    with such files, such as GLUE's CoLA; or a hub data set such as nyu-mll/glue:sst2."""
    eval_file: str = "embedded"
    """Score every model and file on these texts; the same forms as for training."""
    max_length: Annotated[int, Field(ge=16)] = 128
    """Cut inputs to this many word pieces, special tokens included; of a pair, the longer text is
    cut first."""
    text_column: str = ""
    """Read the text, or the first text of a pair, from this column. It is found by the usual names
    if it is not given."""
    pair_column: str = ""
    """Read the second text of each pair from this column; it is found in the same way. `none` reads
    single texts."""
    label_column: str = ""
    """Read the label from this column; it is found in the same way."""
    labels: tuple[str, ...] = ()
    """Number the classes in this order. Without it they are in the order of the hub data set, or
    sorted."""
    regression: bool = False
    """Predict the label as a number. Labels that are not all whole numbers are predicted so in any
    case."""
    metric: Literal["auto"] | Metric = "auto"
    """Put this metric first in the report, and hold the files to it. `auto` takes accuracy for
    classes, Pearson's correlation for numbers, and GLUE's own for its tasks."""


@dataclass(frozen=True)
class TextBuild(Build):
    """All settings of `python -m pipeline.build --task text-classification`."""

    data: OmitArgPrefixes[TextData] = field(default_factory=TextData)


def problems(data: TextData) -> Iterator[str]:
    """What is wrong with the settings, a line each."""
    if data.regression and data.labels:
        yield "--regression predicts a number and --labels names classes: give one of the two"
    if data.labels and len(set(data.labels)) != len(data.labels):
        yield f"--labels {' '.join(data.labels)}: each label once"
    elif len(data.labels) == 1:
        yield f"--labels {data.labels[0]}: at least two"
    columns = [c for c in (data.text_column, data.pair_column, data.label_column) if c]
    if len(set(columns)) != len(columns):
        yield (
            f"--text-column, --pair-column and --label-column name {' '.join(columns)}: name each "
            "column once"
        )
