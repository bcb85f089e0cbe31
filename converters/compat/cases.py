# SPDX-License-Identifier: Apache-2.0
"""The questions or texts that `compat` runs in every runtime, and how logits are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters import ConversionError, one_line, sealed
from converters.interface import CLASSES, INPUTS, SPANS

Logits = NDArray[np.float32]  # (2, S): start and end; or (1, C): classes

LONGEST_ANSWER = 30  # word pieces, as the project's own decoder has it

# The rules of the Task Library's answerer: so many best starts and ends of all positions, answers
# of at most so many word pieces, a passage cut off at so many.
_TASK_BEST, _TASK_LONGEST, TASK_LENGTH = 5, 32, 384


_MOST_TOKENS = 2**16  # as a golden.json may have at most


@dataclass(frozen=True)
class Case:
    """A question as one window, or a text, and what the golden file knows of it.

    Attributes:
        ids: token ids (S,).
        first, stop: where the passage's pieces lie in `ids`, or those of the second text.
        offsets: of each of them, first and past-the-last code point in `context`.
        question, context: the texts; empty for made-up ids.
        complete: whether `ids` hold the whole passage or text.
        text: the single text to classify; empty for a pair and for a question.
        golden: file name -> its logits when it was exported.
    """

    ids: tuple[int, ...]
    first: int
    stop: int
    offsets: tuple[tuple[int, int], ...] = ()
    question: str = ""
    context: str = ""
    complete: bool = False
    text: str = ""
    golden: dict[str, Logits] = field(default_factory=dict, hash=False)

    def request(self, pad_to: int = 0) -> dict[str, list[int]]:
        """The three inputs, padded if asked."""
        length, extra = len(self.ids), max(0, pad_to - len(self.ids))
        segments = [0] * self.first + [1] * (length - self.first)
        columns = ([*self.ids], [1] * length, segments)
        return {name: [*c, *[0] * extra] for name, c in zip(INPUTS, columns, strict=True)}

    def cut(self, logits: Logits) -> Logits:
        """Logits without those of padding; classes have none."""
        return logits if len(logits) == 1 else logits[:, : len(self.ids)]

    def best(self, logits: Logits) -> tuple[int, ...]:
        """The best span, or the best class."""
        return (int(np.argmax(logits)),) if len(logits) == 1 else best_span(self, logits)


def read_cases(file: Path, count: int) -> list[Case]:
    """Up to `count` questions or texts of the `golden.json` beside a file, else made-up windows.

    Raises:
        ConversionError: the golden file is damaged.
    """
    golden = file.parent / "golden.json"
    if not golden.is_file():
        random = np.random.default_rng(0)  # ids that every vocabulary has
        return [
            Case(tuple(random.integers(0, 100, n).tolist()), n // 4, n - 1) for n in (16, 61, 200)
        ]
    try:
        document = sealed.parse(golden)
        entries = document["cases"]
        if entries and "text" in entries[0]:
            longest = max(len(entry["ids"]) for entry in entries)
            found = [_text_case(entry, longest) for entry in entries]
        else:
            found = [_case(entry) for entry in entries if entry["windows"]]
            found = [case for case in found if case.stop > case.first]
        for case in found:  # lists of their lengths are made
            if not 0 < case.first <= case.stop <= len(case.ids) <= _MOST_TOKENS:
                raise ValueError(f"pieces {case.first} to {case.stop} of {len(case.ids)}")
            if any(type(each) is not int or each < 0 for each in case.ids):
                raise ValueError("ids that are none")
    # Its digest fits, or whoever calls said that it need not: damage shows as any error there is.
    except Exception as error:
        why = one_line(repr(error), 80)
        raise ConversionError(f"{golden} is damaged ({why}): export again") from error
    if not found:
        raise ConversionError(f"{golden} has no question with a passage: export again")
    places = np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int)
    return [found[place] for place in places]


def _case(entry: dict[str, Any]) -> Case:
    window = entry["windows"][0]
    return Case(
        ids=tuple(window["ids"]),
        first=window["first"],
        stop=window["first"] + len(window["offsets"]),
        offsets=tuple((start, end) for start, end in window["offsets"]),
        question=entry["question"],
        context=entry["context"],
        complete=entry["window_count"] == 1,
        golden={
            name: np.array([answer[key] for key in SPANS.names], np.float32)
            for name, answer in entry["answers"].items()
        },
    )


def _text_case(entry: dict[str, Any], longest: int) -> Case:
    """A text or a pair; those of the longest input were cut."""
    ids = entry["ids"]
    return Case(
        ids=tuple(ids),
        first=len(ids) - sum(entry["segment_ids"]),
        stop=len(ids),
        complete=len(ids) < longest,
        text="" if "pair" in entry else entry["text"],
        golden={
            name: np.array([answer[key] for key in CLASSES.names], np.float32)
            for name, answer in entry["answers"].items()
        },
    )


def best_span(case: Case, logits: Logits) -> tuple[int, int]:
    """First and last position of the best answer: any start, any end, at most 30 pieces."""
    start, end = logits[:, case.first : case.stop]
    scores = start[:, None] + end[None, :]  # (starts, ends)
    lengths = np.arange(len(end))[None, :] - np.arange(len(start))[:, None] + 1
    scores = np.where((lengths >= 1) & (lengths <= LONGEST_ANSWER), scores, -np.inf)
    row, column = divmod(int(np.argmax(scores)), len(end))
    return case.first + row, case.first + column


def task_library_answer(case: Case, logits: Logits) -> str:
    """What the Task Library's answerer makes of the logits of a window: whole words."""
    scores = task_library_scores(case, logits)
    return max(scores, key=lambda text: scores[text]) if scores else ""


def task_library_scores(case: Case, logits: Logits) -> dict[str, float]:
    """The answers that it chooses from, in whole words, each with its score."""
    starts, ends = (np.argsort(-each, kind="stable")[:_TASK_BEST] for each in logits)
    spans = [
        (float(logits[0, start] + logits[1, end]), int(start), int(end))
        for start in starts
        for end in ends
        if case.first <= start <= end < case.stop and end - start < _TASK_LONGEST
    ]
    scores: dict[str, float] = {}
    for score, start, end in spans:
        text = whole_words(
            case.context, case.offsets[start - case.first][0], case.offsets[end - case.first][1]
        )
        scores[text] = max(score, scores.get(text, score))
    return scores


def whole_words(context: str, start: int, end: int) -> str:
    """Characters [start, end) and the rest of the words they touch; spaces divide words."""
    start = context.rfind(" ", 0, start) + 1
    end = context.find(" ", end)
    return " ".join(word for word in context[start : None if end < 0 else end].split(" ") if word)


def undescribed(file: Path) -> str:
    """The reason why a library that takes text cannot run a file; "" if it can."""
    from converters.tflite.metadata import read_metadata

    try:
        read_metadata(file)
    except ConversionError as error:
        return str(error)
    return ""
