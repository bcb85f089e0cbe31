# SPDX-License-Identifier: Apache-2.0
"""Texts with their labels: the embedded set, files, folders of GLUE's, and hub data sets."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from converters import is_text, plain_file
from pipeline.data.sources import EMBEDDED, Part
from pipeline.errors import UserError
from pipeline.hub import is_hub_id, load_dataset
from pipeline.tasks.text_classification import glue
from pipeline.tasks.text_classification.columns import Columns, choose
from pipeline.tasks.text_classification.settings import TextData
from pipeline.tasks.text_classification.tables import Row, part_of, read_table

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
WHOLE = re.compile(r"([+-]?\d{1,300})(\.0*)?")  # what has more digits is no number to Python
LONGEST_LABEL = 1000  # characters; what a model.json can hold
MOST_LABELS = 2**16  # likewise
# The splits that may be a hub data set's evaluation part, in order: some have no validation split.
SPLITS: dict[Part, tuple[str, ...]] = {
    "train": ("train",),
    "dev": ("validation", "validation_matched", "test"),
}


@dataclass(frozen=True)
class Text:
    """One example.

    Attributes:
        text: the text, or the first of a pair.
        pair: the second; None for a single text.
        label: as the data spell it, a class or a number.
    """

    text: str
    pair: str | None
    label: str


@dataclass(frozen=True)
class TextSet:
    """Examples with where they came from.

    Attributes:
        name: file name, hub id or `embedded`; never a path, so that reports travel.
        sha256: of the content that was read.
        examples: in the order of the file.
        labels: the classes in the order of their numbers, those of the whole file; none for
            regression.
        regression: whether the labels are numbers to be predicted.
        task: of GLUE, whose metrics count; "" for any other data.
        metric: the one that was chosen as the headline, or `auto`.
        skipped: how many rows were left out.
    """

    name: str
    sha256: str
    examples: tuple[Text, ...]
    labels: tuple[str, ...]
    regression: bool = False
    task: str = ""
    metric: str = "auto"
    skipped: int = 0

    @property
    def pair(self) -> bool:
        """Whether each example is a pair of texts."""
        return self.examples[0].pair is not None

    @property
    def texts(self) -> tuple[str, ...]:
        """The distinct texts, in order of first use."""
        every = (text for one in self.examples for text in (one.text, one.pair or ""))
        return tuple(dict.fromkeys(text for text in every if text.strip()))

    @property
    def values(self) -> list[float]:
        """The labels as numbers, of a regression."""
        return [float(one.label) for one in self.examples]

    def limited(self, count: int | None) -> TextSet:
        """The first `count` examples (all of them for None)."""
        return replace(self, examples=self.examples[:count])

    def spread(self, most: int) -> TextSet:
        """At most `most` examples, from the first on, the gaps between them as equal as can be."""
        there = len(self.examples)
        count = min(most, there)
        picked = tuple(self.examples[place * there // count] for place in range(count))
        return replace(self, examples=picked)

    def with_examples(self, examples: Sequence[Text]) -> TextSet:
        """These examples in place of its own, scored by the same rules."""
        return replace(self, examples=tuple(examples))

    def facts(self) -> dict[str, Any]:
        """What a report says of the data."""
        counts = {"pairs" if self.pair else "texts": len(self.examples)}
        counts |= {"labels": len(self.labels)} if self.labels else {}
        return {
            "name": self.name,
            "sha256": self.sha256,
            "counts": counts | {"skipped": self.skipped},
        }


def load_texts(data: TextData, part: Part) -> TextSet:
    """Reads one part of a data set.

    Args:
        data: names the source, `embedded`, a path or a hub id; and the columns.
        part: which half of `embedded`, of a folder or of a hub data set; a file is read whole.

    Raises:
        UserError: for anything that is missing, damaged or not in the format.
    """
    source = data.train_file if part == "train" else data.eval_file
    path = plain_file.expanded(source)
    order: Sequence[str] = ()
    skipped = 0
    if source == EMBEDDED:
        resource = resources.files(__package__) / "embedded" / f"{part}.jsonl"
        content, name, task = resource.read_bytes(), f"{EMBEDDED} {part}", ""
        lines = content.decode("utf-8").strip("\n").split("\n")
        rows = [Row(f"line {n}", json.loads(line)) for n, line in enumerate(lines, 1)]
        examples, left_out = _examples(rows, Columns("text", None, "label"), name)
        digest = hashlib.sha256(content).hexdigest()
    elif path.exists():
        file = part_of(path, part) if path.is_dir() else path
        task = glue.task_of_path(path)
        table = read_table(file, task)
        whole = task or path.is_dir()  # where the folder says more than the file's name
        name = f"{file.resolve().parent.name} {table.name}" if whole else table.name
        skipped = table.skipped
        columns = _columns(data, name, table.columns, task)
        examples, left_out = _examples(table.rows, columns, name, task)
        digest = hashlib.sha256(table.content).hexdigest()
    elif is_hub_id(source):
        split, found = _split(source, part)
        name, task = f"{source} {split}", glue.task_of(source)
        columns = _columns(data, name, found.column_names, task)
        rows = [Row(f"row {n}", dict(row)) for n, row in enumerate(found)]
        order = getattr(found.features[columns.label], "names", None) or ()
        examples, left_out = _examples(rows, columns, name, task, order)
        digest = hashlib.sha256(
            json.dumps([row.values for row in rows], sort_keys=True, default=str).encode(
                "utf-8", "surrogatepass"
            )
        ).hexdigest()
    else:
        raise UserError(
            f"no data file {source}: name a .csv, .tsv or .jsonl file, a folder such as GLUE's "
            f"CoLA, a hub data set such as nyu-mll/glue:sst2, or `{EMBEDDED}`"
        )
    labels, regression = _kind(examples, data, order, name)
    if regression or not order:
        examples = [replace(one, label=_plain(one.label, labels)) for one in examples]
    return TextSet(
        name,
        digest,
        tuple(examples),
        labels,
        regression,
        task,
        data.metric,
        skipped + left_out,
    ).limited(data.max_train if part == "train" else data.max_eval)


def _columns(data: TextData, name: str, there: Sequence[str], task: str) -> Columns:
    return choose(
        name,
        there,
        task,
        text=data.text_column,
        pair=data.pair_column,
        label=data.label_column,
    )


def _split(source: str, part: Part) -> tuple[str, Any]:
    """The split of a hub data set that is a part, and its name."""
    first: UserError | None = None
    for split in SPLITS[part]:
        try:
            return split, load_dataset(source, split)
        except UserError as error:
            first = first or error
    assert first is not None
    raise first


def _examples(
    rows: Iterable[Row], columns: Columns, name: str, task: str = "", order: Sequence[str] = ()
) -> tuple[list[Text], int]:
    """The examples of a table, and how many rows have no label that counts.

    Args:
        rows: with the values of the columns.
        columns: which to read.
        name: of the table, for messages.
        task: of GLUE, or "".
        order: the names of the classes, where the label is their number.

    Raises:
        UserError: a text is missing or no text, or a label is missing.
    """
    found: list[Text] = []
    unlabeled: list[str] = []
    left_out = 0
    undecided = glue.leaves_out(task, columns.label)
    for row in rows:
        label = _label(row, columns.label, order, name)
        if undecided and label == glue.UNDECIDED:
            left_out += 1
            continue
        text = _text(row, columns.text, name)
        pair = _text(row, columns.pair, name) if columns.pair else None
        if not label:
            unlabeled.append(row.place)
        found.append(Text(text, pair, label))
    if found and len(unlabeled) == len(found):
        raise UserError(
            f"{name} has no labels in its column {columns.label!r}, as the test part of a "
            "benchmark has none: name a part with labels, such as its development part"
        )
    if unlabeled:
        raise UserError(
            f"{name}: {len(unlabeled)} of {len(found)} rows have no label in the column "
            f"{columns.label!r}, the first is {unlabeled[0]}: add them, or leave these rows out"
        )
    if not found:
        raise UserError(f"{name} holds no example: name a file with texts and labels")
    return found, left_out


def _text(row: Row, column: str, name: str) -> str:
    value = row.values.get(column)
    if not isinstance(value, str):
        raise UserError(
            f"{name}, {row.place}: {column!r} is {repr(value)[:60]}, expected a text; mend the "
            "row, or name another column with --text-column or --pair-column"
        )
    _check_characters(value, row, column, name)
    return value


def _check_characters(text: str, row: Row, column: str, name: str) -> None:
    if not is_text(text):
        raise UserError(
            f"{name}, {row.place}: {column!r} holds half of a surrogate pair, which is no "
            "character: write the text again as UTF-8"
        )


def _label(row: Row, column: str, order: Sequence[str], name: str) -> str:
    """A label as a text; "" for one that is missing, as hub data sets have it -1."""
    value = row.values.get(column)
    if isinstance(value, list | dict) or (isinstance(value, float) and not math.isfinite(value)):
        raise UserError(
            f"{name}, {row.place}: {column!r} is {repr(value)[:60]}, expected a text or a number; "
            "mend the row, or name another column with --label-column"
        )
    if isinstance(value, str):
        _check_characters(value, row, column, name)
    if order and isinstance(value, int):
        return order[value] if 0 <= value < len(order) else ""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value).strip()


def _kind(
    examples: Sequence[Text], data: TextData, order: Sequence[str], name: str
) -> tuple[tuple[str, ...], bool]:
    """The classes in order, or none and True for a regression."""
    there = dict.fromkeys(one.label for one in examples)
    numbers = all(map(_is_number, there))
    if data.regression:
        if not numbers:
            wrong = next(label for label in there if not _is_number(label))
            raise UserError(
                f"{name}: the label {wrong[:60]!r} is no number, as --regression needs; leave the "
                "flag out, or name another column with --label-column"
            )
        return (), True
    if numbers and not data.labels and not order and not all(map(WHOLE.fullmatch, there)):
        return (), True
    _check_classes(there, name)
    if data.labels:
        unknown = [label for label in there if label not in data.labels]
        if unknown:
            raise UserError(
                f"{name} has the label {unknown[0][:60]!r}, which is not one of --labels "
                f"{' '.join(data.labels)}: add it there, or mend the data"
            )
        return data.labels, False
    if order:
        return tuple(order), False
    if numbers:
        whole = sorted({_whole(label) for label in there})
        return tuple(map(str, whole)), False
    return tuple(sorted(there)), False


def _plain(label: str, labels: Sequence[str]) -> str:
    """A whole number as the classes spell it: `1` for `1.0`."""
    return str(_whole(label)) if labels and label not in labels else label


def _is_number(label: str) -> bool:
    """Whether a label is a number that a float can hold."""
    return NUMBER.fullmatch(label) is not None and math.isfinite(float(label))


def _whole(label: str) -> int:
    """The number of a label such as `1` or `1.0`, exactly: floats have 53 bits, and ids more."""
    found = WHOLE.fullmatch(label)
    assert found is not None
    return int(found[1])


def _check_classes(there: Collection[str], name: str) -> None:
    """Refuses classes that no file can name, as where the column holds texts."""
    if longest := next((label for label in there if len(label) > LONGEST_LABEL), None):
        raise UserError(
            f"{name} has a label of {len(longest):,} characters, {longest[:60]!r}: at most "
            f"{LONGEST_LABEL:,}; name another column with --label-column"
        )
    if len(there) > MOST_LABELS:
        raise UserError(
            f"{name} has {len(there):,} different labels: at most {MOST_LABELS:,}; name another "
            "column with --label-column, or pass --regression for numbers"
        )
