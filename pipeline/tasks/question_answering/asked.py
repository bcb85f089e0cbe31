# SPDX-License-Identifier: Apache-2.0
"""Questions that somebody wants answered, from a file: no answers are needed, and none are read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipeline.errors import UserError
from pipeline.tasks.question_answering.forms import REPAIRS, Raw, Walk, read_document

# What `Walk` may mend that shows in an answer; of ids and answers nothing is used.
SHOWN = ("nul_characters", "repeated_keys")


@dataclass(frozen=True)
class Asked:
    """A question that waits for its answer.

    Attributes:
        id: as the file has it; the question's place in the file if it has none.
        question: the question.
        context: its passage.
    """

    id: Any
    question: str
    context: str


def read_asked(content: bytes, name: str, passage: str | None = None) -> tuple[list[Asked], str]:
    """Read the questions of a file.

    Args:
        content: JSON Lines with `question`, `context` and perhaps `id` in each line, or a file in
            any other of the forms of `forms`, in gzip or not.
        name: the name of the file, for messages.
        passage: the passage of all questions, which then have none of their own.

    Returns:
        The questions in the file's order, and a line that says what was mended; it is empty if
        nothing was.

    Raises:
        UserError: the file is empty, damaged (the line is named) or of another form, or the
            questions have passages of their own beside `passage`.
    """
    repairs: Counter[str] = Counter()
    document = read_document(content, name, repairs)
    if isinstance(document, dict) and not {"data", "paragraphs", "qas"} & document.keys():
        document = [document]
    if isinstance(document, list):
        document = list(_rows(document, name, passage))
    elif passage is not None:
        raise UserError(
            f"{name} is a SQuAD file, whose questions have their own passages: leave out --context"
        )
    raws = Walk(name, "asked", repairs).questions(document)
    asked = [Asked(_id(raw, name), raw.text, raw.context) for raw in raws]
    if not asked:
        raise UserError(f"{name} contains no question")
    mended = [f"{REPAIRS[kind]}: {repairs[kind]:,}" for kind in SHOWN if repairs[kind]]
    return asked, f"{name}: {'; '.join(mended)}" if mended else ""


def _id(raw: Raw, name: str) -> Any:
    """The id that stands beside the answer: JSON has no NaN, and no list names a question."""
    own = raw.place if raw.own is None else raw.own
    if not isinstance(own, str | int | float) or own in (math.inf, -math.inf) or own != own:
        raise UserError(
            f"{name}: `id` of {raw.place} is {str(own)[:80]!r}: write a text or a number, or none"
        )
    return own


def _rows(rows: Iterable[Any], name: str, passage: str | None) -> Iterable[Any]:
    """The rows of a list or of JSON Lines, each with its passage."""
    for number, row in enumerate(rows):
        place = f"{name}: row {number}"
        if not isinstance(row, dict):
            raise UserError(
                f'{place} is {str(row)[:80]!r}: write an object with "question" and "context"'
            )
        if "question" not in row:
            if passage is None and {"paragraphs", "qas"} & row.keys():
                yield row  # an article of SQuAD's form
                continue
            raise UserError(f'{place} has no "question"')
        own = row.get("context")
        if passage is None and own is None:
            raise UserError(
                f'{place} has no "context": write one into each row, or give one for all with '
                "--context"
            )
        if passage is not None and own is not None:
            raise UserError(
                f'{place} has a "context" of its own beside --context: leave one of them out'
            )
        yield row if passage is None else {**row, "context": passage}
