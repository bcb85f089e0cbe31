# SPDX-License-Identifier: Apache-2.0
"""From the document of a model.json to an `Answerer`: the one place that reads what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from pipeline import documents
from pipeline.tasks.question_answering.evaluate import Answerer
from pipeline.tasks.question_answering.features import Limits
from pipeline.tasks.question_answering.search import Rule, Search
from pipeline.tasks.reading import Model


class SpanLimits(TypedDict):
    """How a passage is cut and an answer read, in word pieces; see `Limits`.

    Attributes:
        max_length: The longest window, special tokens included.
        stride: The distance between the starts of two windows.
        max_query: The question is cut to this many.
        max_answer: The longest answer.
        n_best: How many starts and how many ends are considered.
    """

    max_length: documents.Length
    stride: documents.Length
    max_query: documents.Length
    max_answer: documents.Length
    n_best: Annotated[int, Field(ge=1, le=1000)]


class SpanSearch(TypedDict):
    """How a long passage is searched; see `Search`.

    Attributes:
        rule: How scores of different windows are compared.
        max_windows: Only the windows with most in common with the question are read; null for all.
    """

    rule: Rule
    max_windows: documents.Length | None


class SpanPart(TypedDict):
    """What question answering adds to a model.json.

    Attributes:
        limits: How a passage is cut and an answer read.
        may_abstain: Whether the model may give no answer.
        null_threshold: The margin, in logits, by which "no answer" must exceed the best span; 0 if
            absent.
        search: How a long passage is searched.
    """

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)  # type: ignore[misc]

    limits: SpanLimits
    may_abstain: bool
    null_threshold: NotRequired[float]
    search: NotRequired[SpanSearch]


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
            UserError: a key is missing or unknown, or a value is not of the expected form.
        """
        part = documents.own_part(path, document, SpanPart)
        threshold = part.get("null_threshold", 0.0)  # files without one have none
        search = Search(**part.get("search", {}))  # files without one have the default
        return cls(tokenizer, Limits(**part["limits"]), part["may_abstain"], threshold, search)

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
