# SPDX-License-Identifier: Apache-2.0
"""How both kinds of loops begin, and when the steps of a training end."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any

import torch
from transformers import TrainerCallback, logging

from benchmarks.measure.training_schema import Step
from pipeline.config import Hardware


def begin(threads: int) -> None:
    """Lets a process train with so many threads, and print nothing of transformers."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(threads)


def hardware(precision: Any) -> Hardware:
    """The settings of a training of the build in a precision, or in the one that it chooses."""
    return Hardware(device="cpu", precision=precision, report_to=("none",), progress=False)


class Ends(TrainerCallback):  # type: ignore[misc]
    """Remembers when a training began and when each step ended.

    Attributes:
        began: the clock before the first batch is made.
        seconds: the clock at the end of each step.
    """

    def __init__(self) -> None:
        self.began = 0.0
        self.seconds: list[float] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Called by the Trainer."""
        self.began = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Called by the Trainer."""
        self.seconds.append(time.perf_counter())


def steps_between(ends: Sequence[float], batches: Sequence[Sequence[int]]) -> list[Step]:
    """The steps between one reading of the clock and the next.

    Args:
        ends: the readings.
        batches: the tokens of each example, of the batches between two readings; one batch fewer.
    """
    return [
        {"examples": len(batch), "tokens": sum(batch), "seconds": end - begin}
        for (begin, end), batch in zip(itertools.pairwise(ends), batches, strict=True)
    ]


def in_batches(lengths: Sequence[int], size: int) -> list[list[int]]:
    """The lengths of examples, batch by batch; the last one may be short."""
    return [list(lengths[begin : begin + size]) for begin in range(0, len(lengths), size)]
