# SPDX-License-Identifier: Apache-2.0
"""From the document of a model.json to an `Answerer`: the one place that reads what it says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.tasks.question_answering.evaluate import Answerer
from pipeline.tasks.question_answering.features import Limits
from pipeline.tasks.question_answering.search import RULES, Search
from pipeline.tasks.reading import Model


@dataclass(frozen=True)
class Described:
    """How a model is asked: everything that an `Answerer` needs except the model.

    Attributes:
        tokenizer: a fast BERT tokenizer.
        limits: windows and answer lengths.
        may_abstain: whether the model may give no answer.
        null_threshold: the margin, in logits, by which "no answer" must exceed the best span.
        search: which windows are read, and how their scores compare.
    """

    tokenizer: Any
    limits: Limits
    may_abstain: bool = False
    null_threshold: float = 0.0
    search: Search = field(default_factory=Search)

    @classmethod
    def of(cls, document: Mapping[str, Any], tokenizer: Any, path: Path) -> Described:
        """Read the task's part of a model.json.

        Args:
            document: the content of the file.
            tokenizer: the one that the document describes.
            path: the path of the file, for messages.

        Raises:
            UserError: a key is missing, or a value is not of the expected form.
        """
        try:
            limits = Limits(**document["limits"])
            may_abstain = bool(document["may_abstain"])
        except (KeyError, TypeError) as error:
            raise UserError(f"{path} lacks {error}: build the file again") from error
        threshold = document.get("null_threshold", 0.0)  # files without one have none
        if type(threshold) not in (int, float) or not math.isfinite(threshold):
            raise UserError(
                f"{path}: null_threshold is {str(threshold)[:80]!r}, not a number: build the file "
                "again"
            )
        try:
            search = Search(**document.get("search", {}))  # files without one have the default
        except TypeError as error:
            raise UserError(f"{path}: search is not understood: build the file again") from error
        most = search.max_windows
        if search.rule not in RULES or not (most is None or (type(most) is int and most > 0)):
            raise UserError(
                f"{path}: search has rule {str(search.rule)[:80]!r} and max_windows "
                f"{str(most)[:80]!r}: build the file again"
            )
        return cls(tokenizer, limits, may_abstain, threshold, search)

    def answerer(
        self,
        model: Model,
        *,
        pad_to: int | None = None,
        reuse: bool = True,
        more: Sequence[Model] = (),
    ) -> Answerer:
        """Make an `Answerer` of a model; see there for `pad_to`, `reuse` and `more`."""
        return Answerer(
            model,
            self.tokenizer,
            self.limits,
            pad_to=pad_to,
            may_abstain=self.may_abstain,
            null_threshold=self.null_threshold,
            reuse=reuse,
            search=self.search,
            more=more,
        )


def fitting(positions: int) -> Limits:
    """The default limits, cut down for a model that takes shorter inputs.

    Args:
        positions: the longest input that the model takes, in word pieces.
    """
    usual = Limits()
    length = min(usual.max_length, positions)
    query = min(usual.max_query, max(1, (length - 3) // 2))
    stride = min(usual.stride, max(1, length - query - 3))
    return Limits(length, stride, query, usual.max_answer, usual.n_best)
