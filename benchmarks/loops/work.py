# SPDX-License-Identifier: Apache-2.0
"""What the loops train on.

A process gets it before it imports PyTorch, so this module imports neither that nor transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.measure.training_schema import Turn
from pipeline.models.teacher import Source

PLAIN, OURS, CHOSEN = "plain loop", "ours in fp32", "ours as it chooses"


class Loops(Protocol):
    """The models of a process, and both loops over them."""

    def plain(self) -> Turn:
        """One pass as people write it."""
        ...

    def ours(self, precision: str | None = None) -> Turn:
        """One pass as the build does it.

        Args:
            precision: to train in; what the loop itself chooses for None.
        """
        ...


@dataclass(frozen=True)
class Work:
    """What both loops of general distillation train on.

    Attributes:
        teacher: folder of a BERT; a head that it lacks is random.
        samples: word-piece ids, special tokens included.
        batch: samples of a step.
        threads: of PyTorch.
        seed: of the student and of dropout.
    """

    teacher: Path
    samples: Sequence[Any]
    batch: int
    threads: int
    seed: int


@dataclass(frozen=True)
class TaskWork:
    """What both loops of the second distillation step train on.

    Attributes:
        teacher: a BERT; a head for answers that it lacks is random.
        features: windows with their answers, `pipeline.tasks.question_answering.features.Feature`.
        batch: windows of a step.
        length: that the plain loop pads windows to.
        threads: of PyTorch.
        seed: of the student, of the order and of dropout.
    """

    teacher: Source
    features: Sequence[Any]
    batch: int
    length: int
    threads: int
    seed: int
