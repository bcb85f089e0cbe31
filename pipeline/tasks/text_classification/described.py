# SPDX-License-Identifier: Apache-2.0
"""What text classification adds to a model.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from pipeline import documents
from pipeline.errors import UserError


class ClassLimits(TypedDict):
    """The longest input.

    Attributes:
        max_length: In word pieces, special tokens included.
    """

    max_length: Annotated[int, Field(ge=3, le=2**16)]


class ClassPart(TypedDict):
    """What text classification adds to a model.json: the classes, and how inputs are made.

    Attributes:
        labels: The classes in the order of the logits; empty for a regression.
        regression: Whether the one logit is the predicted number.
        pair: Whether an input is a pair of texts.
        limits: Of the length.
        truncation: How a pair that is too long is cut: the longer text loses its last piece first.
    """

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)  # type: ignore[misc]

    labels: Annotated[list[documents.Short], Field(max_length=2**16)]
    regression: bool
    pair: bool
    limits: ClassLimits
    truncation: Literal["longest_first"]


def part(path: Path, document: Mapping[str, Any]) -> dict[str, Any]:
    """The task's part of a model.json.

    Args:
        path: of the file, for messages.
        document: what `pipeline.documents.model` returned.

    Raises:
        UserError: a key is missing or unknown, or holds what no build writes.
    """
    found = documents.own_part(path, document, ClassPart)
    if found["regression"] == bool(found["labels"]):
        raise UserError(f"{path}: a model has either labels or a regression: build the file again")
    return found
