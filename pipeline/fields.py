# SPDX-License-Identifier: Apache-2.0
"""What settings are made of: bounded numbers, thresholds, and a class that refuses unknown keys.

The settings of the precision `mixed` are here as well, since thresholds depend on them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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

    def with_budget(self, budget: float) -> Gate:
        """A gate whose limit on the drop of the score comes on top of a budget, in points."""
        drop = self.score_drop
        limit = Limit(round(budget + drop.limit, 6), f"{drop.reason}, and the budget of {budget:g}")
        return replace(self, score_drop=limit)


@dataclass(frozen=True)
class Mixed(Strict):
    """What the precision `mixed` may cost: it stores in int4 what costs least, the rest in int8."""

    budget: Weight = 0.5
    """Let a file of the precision `mixed` lose at most this many points of the task's first metric,
    measured on the evaluation examples against the student in float32."""
    examples: Count = 500
    """Choose what is stored in int4 on this many evaluation examples, evenly spread; the choice is
    then measured on all of them."""
