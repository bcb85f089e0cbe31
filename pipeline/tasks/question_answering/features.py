# SPDX-License-Identifier: Apache-2.0
"""From a question and a passage to windows of word pieces, and from answers to their labels.

A window is `[CLS] question [SEP] piece of the passage [SEP]`, as in BERT's SQuAD recipe (Devlin et
al. 2019, section 4.2).  Training, evaluation, the golden cases and the Android app all cut a
passage by the one rule in :meth:`Windower.windows`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.tasks.question_answering.squad import Question


@dataclass(frozen=True)
class Limits:
    """How a passage is cut and an answer read out; counted in word pieces.

    Attributes:
        max_length: longest window, special tokens included.
        stride: distance between the starts of two windows (the `doc_stride` of BERT's recipe).
        max_query: the question is cut to this many.
        max_answer: longest answer.
        n_best: how many starts and how many ends are considered.
    """

    max_length: int = 384
    stride: int = 128
    max_query: int = 64
    max_answer: int = 30
    n_best: int = 20


@dataclass(frozen=True, eq=False)
class Window:
    """One input of the model.

    Attributes:
        ids: int32 [S], word-piece ids.
        segment_ids: int32 [S], 0 up to and including the first [SEP], 1 after it.
        offsets: int32 [P, 2], first and past-the-last code point in the passage of each of the P
            passage pieces.
        first: the position in `ids` of the first passage piece.
    """

    ids: np.ndarray
    segment_ids: np.ndarray
    offsets: np.ndarray
    first: int

    @property
    def stop(self) -> int:
        """The position in `ids` just after the last passage piece."""
        return self.first + len(self.offsets)


@dataclass
class Windower:
    """Cuts questions and passages into windows.

    Args:
        tokenizer: a fast BERT tokenizer of transformers.
        limits: see :class:`Limits`.
        reuse: keep the pieces of each passage for its next question; False cuts it anew, as an app
            does that meets each passage once.
    """

    tokenizer: Any
    limits: Limits
    reuse: bool = True
    _pieces: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Checks that no passage piece can fall between two windows."""
        room = self.limits.max_length - self.limits.max_query - 3
        if not 0 < self.limits.stride <= room:
            raise UserError(
                f"stride {self.limits.stride} with length {self.limits.max_length} and questions "
                f"of up to {self.limits.max_query} leaves pieces in no window: "
                f"allowed are 1 to {room}"
            )

    def pieces(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Word pieces of a text: ids int32 [N], code-point offsets int32 [N, 2]."""
        encoding = self.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)
        ids = np.asarray(encoding.ids, dtype=np.int32)
        return ids, np.asarray(encoding.offsets, dtype=np.int32).reshape(-1, 2)

    def passage(self, context: str) -> tuple[np.ndarray, np.ndarray]:
        """As `pieces`, of a passage, whose pieces are kept."""
        found = self._pieces.get(context) or self.pieces(context)
        if self.reuse:
            self._pieces[context] = found
        return found

    def windows(self, question: str, context: str) -> list[Window]:
        """The windows of a passage, in order; an empty one gives a window without pieces."""
        context_ids, offsets = self.passage(context)
        cls_id, sep_id = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        query = self.pieces(question)[0][: self.limits.max_query]
        head = np.concatenate([[cls_id], query, [sep_id]]).astype(np.int32)
        room = self.limits.max_length - len(head) - 1

        found: list[Window] = []
        start = 0
        while True:
            body = context_ids[start : start + room]
            ids = np.concatenate([head, body, [sep_id]]).astype(np.int32)
            segment_ids = np.zeros_like(ids)
            segment_ids[len(head) :] = 1
            found.append(Window(ids, segment_ids, offsets[start : start + room], len(head)))
            if start + room >= len(context_ids):
                return found
            start += self.limits.stride


@dataclass(frozen=True, eq=False)
class Feature:
    """One training example: a window and where its answer lies.

    Attributes:
        window: the input.
        start: position of the answer's first piece in the window; 0, the [CLS], where the window
            does not hold the whole answer.
        end: position of the answer's last piece, likewise.
    """

    window: Window
    start: int
    end: int

    @property
    def ids(self) -> np.ndarray:
        """Word-piece ids of the window, int32 [S]."""
        return self.window.ids

    @property
    def segment_ids(self) -> np.ndarray:
        """Segment ids of the window, int32 [S]."""
        return self.window.segment_ids

    @property
    def length(self) -> int:
        """Number of tokens, S."""
        return len(self.window.ids)


def locate(window: Window, start: int, stop: int) -> tuple[int, int]:
    """Positions of the first and last piece of the passage's code points [start, stop).

    Returns (0, 0), the [CLS] token, unless the window holds every piece of that span.
    """
    offsets = window.offsets
    if not len(offsets) or start < offsets[0, 0] or stop > offsets[-1, 1]:
        return 0, 0
    first = int(np.searchsorted(offsets[:, 1], start, side="right"))
    last = int(np.searchsorted(offsets[:, 0], stop, side="left")) - 1
    if first > last:
        return 0, 0
    return window.first + first, window.first + last


def narrowed(offsets: np.ndarray, start: int, stop: int) -> tuple[int, int]:
    """The code points [start, stop) without those at either end that no piece holds.

    White space has no piece, nor has what the tokenizer drops, such as combining marks, variation
    selectors and spaces of no width.  A window that lacks them lacks nothing of the answer.

    Args:
        offsets: of every piece of the passage, int32 [N, 2].
        start: the first code point.
        stop: the code point past the last.

    Returns:
        The span, an empty one if no piece lies in it.
    """
    first = int(np.searchsorted(offsets[:, 1], start, side="right"))
    last = int(np.searchsorted(offsets[:, 0], stop, side="left")) - 1
    if first > last:
        return start, start
    return max(start, int(offsets[first, 0])), min(stop, int(offsets[last, 1]))


def training_features(windower: Windower, questions: Sequence[Question]) -> list[Feature]:
    """Every window of every question with its labels; the first answer of a question counts.

    Raises:
        UserError: if not one answer lies within a window.
    """
    features, answered = [], 0
    for question in questions:
        span = None
        if question.answers:
            stop = question.starts[0] + len(question.answers[0])
            span = narrowed(windower.passage(question.context)[1], question.starts[0], stop)
        for window in windower.windows(question.text, question.context):
            start, end = locate(window, *span) if span else (0, 0)
            answered += start > 0
            features.append(Feature(window, start, end))
    if not answered:
        raise UserError(
            f"none of the {len(questions)} training questions has its answer within a window of "
            f"{windower.limits.max_length} pieces: raise --max-length or check the data"
        )
    return features
