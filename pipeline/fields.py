# SPDX-License-Identifier: Apache-2.0
"""What settings are made of: bounded numbers, thresholds, and a class that refuses unknown keys.

The settings of the gates are here as well, and those of the precision `mixed`, on which thresholds
depend.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Neurons = Literal["activation", "taylor", "random"]  # how those that stay are chosen


# Settings that decide no weight: when a training is saved and told, and what it may take.
IDLE: Final = ("checkpoint_minutes", "checkpoint_steps", "log_steps", "cache_gigabytes")


def decisive(settings: Any) -> Any:
    """Settings for the key of a stage, with the defaults of those that decide nothing in it."""
    if not is_dataclass(settings) or isinstance(settings, type):
        return settings
    return replace(
        settings,
        **{
            each.name: each.default if each.name in IDLE else decisive(getattr(settings, each.name))
            for each in fields(settings)
        },
    )


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
    """What a file may differ from the student by, over the evaluation examples.

    The drop of the score is measured on training examples too, where there are few for evaluation.
    """

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
    measured against the student in float32 on the examples of `--verification.drop-examples`."""
    examples: Count = 500
    """Choose what is stored in int4 on this many evaluation examples, evenly spread; the choice is
    then measured on all of them, and on training examples where there are few."""


@dataclass(frozen=True)
class Verification(Strict):
    """How many examples the gates look at."""

    padded_examples: Count = 200
    """Run each file on this many evaluation examples padded to the longest input, evenly spread, or
    on all if there are fewer."""
    coreml_examples: Annotated[int, Field(ge=500)] = 500
    """Run a Core ML file on this many evaluation examples where it is evaluated operation by
    operation, which is everywhere but on macOS; on all if there are fewer."""
    drop_examples: Count = 3000
    """Measure how far the score of a quantized file lies below the student's on this many examples.
    Where there are fewer for evaluation, training examples are added, drawn at random; 1 adds none.
    They enter no score that is reported."""
    drop_operations: Positive = 3e13
    """Add training examples only as long as the student needs at most this many floating-point
    operations for all of them: 3e13 take a CPU core some five minutes, in each file."""
    processes: Count | None = None
    """Run files in this many processes; in as many as there are CPU cores if it is not given."""
