# SPDX-License-Identifier: Apache-2.0
"""How the examples of an optimizer step are spread over devices and micro-batches.

A step takes the same examples in the same order on any number of devices: of a schedule, those at
the places `step * batch` and on.  They are cut into as many parts as there are devices and
micro-batches.  A part without examples, at the end of a training, repeats an example that does not
count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from pipeline.errors import UserError
from pipeline.training.batches import Batch, Schedule
from pipeline.training.stream import Stream

Micro = tuple[Batch, bool]  # a micro-batch, and whether its examples count


@dataclass(frozen=True)
class Split:
    """The parts of a batch.

    Attributes:
        batch: examples of a step over all devices.
        world: devices.
        most: examples that a device computes at a time; None for no limit.
    """

    batch: int
    world: int = 1
    most: int | None = None

    def check(self) -> None:
        """Raises a UserError where a device would have nothing to do."""
        if self.batch < self.world:
            raise UserError(
                f"a batch of {self.batch} examples leaves some of {self.world} devices without "
                "any: raise batch_size, or start fewer processes"
            )

    def micro_batches(self, examples: Schedule | Stream) -> int:
        """Micro-batches of a step on each device: the same number on all of them."""
        share = -(-self.batch // self.world)
        if isinstance(examples, Stream):
            share = max(
                examples.share(step, self.batch, rank, self.world)
                for step in range(examples.lanes)  # then the shares come again
                for rank in range(self.world)
            )
        return -(-share // min(self.most or share, share))

    def described(self, examples: Schedule | Stream) -> str:
        """`batches of 32: 4 at a time on each of 8 devices`."""
        count = self.micro_batches(examples)
        size = -(-self.batch // (count * self.world))
        where = f"on each of {self.world} devices" if self.world > 1 else "on one device"
        times = f", {count} times a step" if count > 1 else ""
        return f"batches of {self.batch}: {size} at a time {where}{times}"


class Loader:
    """The micro-batches of one device, from a step on to the end of the training.

    Args:
        examples: all of them, the same on every device.
        collate: makes a batch of a list of items.
        split: the parts of a batch.
        rank: of this device.
        steps: of the whole training.
        begin: gives the step to begin with, when the loader is first asked for a batch.
        workers: processes that read a stream; 0 reads it in this process.
    """

    def __init__(
        self,
        examples: Schedule | Stream,
        collate: Callable[[list[Any]], Batch],
        split: Split,
        rank: int,
        steps: int,
        begin: Callable[[], int],
        *,
        workers: int = 0,
    ) -> None:
        self.examples, self.collate, self.split, self.rank = examples, collate, split, rank
        self.steps, self.begin, self.workers = steps, begin, workers
        self.micro_batches = split.micro_batches(examples)

    def __len__(self) -> int:
        """Micro-batches of the whole training."""
        return self.steps * self.micro_batches

    def __iter__(self) -> Iterator[Micro]:
        """Micro-batches, `micro_batches` of them for each step."""
        if isinstance(self.examples, Stream):
            return self._streamed(self.examples)
        steps = range(self.begin(), self.steps)
        parts = [part for step in steps for part in self._part(self.examples, step)]
        own = torch.Generator()  # so that a resumed run's dropout is that of an undisturbed one
        if not self.begin():
            torch.empty((), dtype=torch.int64).random_()  # what a loader without its own takes
        return iter(
            DataLoader(
                _Items(self.examples),
                batch_sampler=parts,
                collate_fn=self._collate,
                generator=own,
                pin_memory=torch.cuda.is_available(),
            )
        )

    def _part(self, examples: Schedule, step: int) -> Iterator[list[int]]:
        """Places of this device's examples in each micro-batch of a step; ~place does not count."""
        begin = step * self.split.batch
        places = np.arange(begin, min(begin + self.split.batch, len(examples)))
        parts = np.array_split(places, self.micro_batches * self.split.world)
        for part in parts[self.rank :: self.split.world]:
            yield part.tolist() or [~int(places[0])]

    def _streamed(self, stream: Stream) -> Iterator[Micro]:
        batch = self.split.batch
        items = stream.read(self.begin() * batch, self.rank, self.split.world, self.workers)
        ahead = next(items)
        for step in range(self.begin(), self.steps):
            mine = []
            while ahead[0] < (step + 1) * batch:
                mine.append(ahead)
                ahead = next(items)
            for part in np.array_split(np.arange(len(mine)), self.micro_batches):
                chosen = [mine[place] for place in part]
                yield self.collate(chosen or [ahead]), bool(chosen)

    def _collate(self, items: list[tuple[bool, Any]]) -> Micro:
        return self.collate([item for _, item in items]), items[0][0]


class _Items(Dataset[tuple[bool, Any]]):
    """A schedule's items; at ~place the item of a place, marked as one that does not count."""

    def __init__(self, examples: Sequence[Any] | Schedule) -> None:
        self.examples = examples

    def __getitem__(self, place: int) -> tuple[bool, Any]:
        return place >= 0, self.examples[place if place >= 0 else ~place]
