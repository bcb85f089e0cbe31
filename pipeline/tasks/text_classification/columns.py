# SPDX-License-Identifier: Apache-2.0
"""Which columns of a table hold the text, the second text of a pair, and the label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import UserError
from pipeline.tasks.text_classification import glue

NO_PAIR = "none"

# Pairs of columns by their usual names; of a table that has both, a text alone is not meant.
PAIRS = (
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("#1 String", "#2 String"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("question", "sentence"),
    ("text", "pair"),
)
TEXTS = ("text", "sentence", "review", "content", "comment", "message", "tweet", "utterance")
LABELS = (
    *("gold_label", "label", "labels", "class", "category", "sentiment", "intent", "score"),
    *("rating", "stars", "quality", "is_duplicate", "similarity", "target"),
)


@dataclass(frozen=True)
class Columns:
    """The names of the columns; `pair` is None where each example is one text."""

    text: str
    pair: str | None
    label: str


def choose(
    name: str, there: Sequence[str], task: str, *, text: str, pair: str, label: str
) -> Columns:
    """The columns of a table.

    Args:
        name: of the table, for messages.
        there: its columns.
        task: of GLUE, or "".
        text: as the settings name it; "" to find one by the usual names.
        pair: likewise; `none` for single texts.
        label: likewise.

    Raises:
        UserError: a column is not there, or cannot be found.
    """
    for flag, column in (("text", text), ("pair", pair), ("label", label)):
        if column and column not in there and not (flag == "pair" and column == NO_PAIR):
            raise UserError(f"{name} has no column {column!r}: it has {_listed(there)}")
    layout = glue.LAYOUTS.get(task)
    if layout and layout.text in there and not text:
        text, pair = layout.text, pair or layout.pair or NO_PAIR
        label = label or (layout.label if layout.label in there else "")
    known = {column.casefold(): column for column in there}

    def once(chosen: Columns) -> Columns:
        for column in (chosen.text, chosen.pair, chosen.label):
            if there.count(column) > 1:
                raise UserError(
                    f"{name} has {there.count(column)} columns {column!r}: give each a name of its "
                    "own, since nobody can say which one is meant"
                )
        return chosen

    def usual(names: Sequence[str], taken: Sequence[str]) -> str:
        found = (known[n.casefold()] for n in names if n.casefold() in known)
        return next((column for column in found if column not in taken), "")

    if not text and not pair:
        both = [(one, two) for one, two in PAIRS if {one.casefold(), two.casefold()} <= {*known}]
        if both:
            text, pair = (known[column.casefold()] for column in both[0])
    text = text or usual([*(one for one, _ in PAIRS), *TEXTS] if pair else TEXTS, (pair, label))
    label = label or usual(LABELS, (text, pair))
    if not text:
        raise UserError(
            f"{name}: no column has a usual name for a text; name it with --text-column, the "
            f"columns are {_listed(there)}"
        )
    if not label:
        raise UserError(
            f"{name}: no column has a usual name for a label, and the test part of a benchmark has "
            f"none; name it with --label-column, the columns are {_listed(there)}"
        )
    return once(Columns(text, None if pair in ("", NO_PAIR) else pair, label))


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(repr(column)[:60] for column in columns[:20])
    return shown + (" and more" if len(columns) > 20 else "")
