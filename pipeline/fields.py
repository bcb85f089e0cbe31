# SPDX-License-Identifier: Apache-2.0
"""What settings are made of: bounded numbers, thresholds, and a class that refuses unknown keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Neurons = Literal["activation", "taylor", "random"]  # how those that stay are chosen


class Strict:
    """A settings class that refuses keys it does not have."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Limit(Strict):
    """A threshold and why it lies there."""

    limit: float
    reason: str


@dataclass(frozen=True)
class Gate(Strict):
    """What a file may differ from the student by, over the evaluation examples."""

    max_logit_error: Limit
    mean_logit_error: Limit
    changed_predictions: Limit
    padding_changes: Limit
    score_drop: Limit
