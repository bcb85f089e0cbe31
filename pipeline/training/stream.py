# SPDX-License-Identifier: Apache-2.0
"""Samples of a text that is read as it comes: in an order that no number of devices changes.

The text is dealt out to *lanes*, and sample i of lane l stands at place i * lanes + l of the
training.  Each device reads some of the lanes, and each of its workers some of those.  A lane goes
over its text again and again, and its places count on, so that every pass is masked and shuffled
anew.  A run that is resumed reads its text again up to where it was.
"""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

LEAST_LANES = 64  # so that as many devices have one each
BLOCK = 16  # samples of each lane that a worker hands over at a time: fewer cost more time
SHUFFLED = 8192  # samples held back over all lanes, from which the next one is drawn

Place = tuple[int, np.ndarray]


@dataclass(frozen=True)
class Stream:
    """Samples of a streamed text, each int32 [S], without end.

    Attributes:
        sources: each reads a part of the text from its beginning, document by document.
        pack: makes samples of documents, lazily; documents follow without end.
        seed: of the order.
        shuffled: samples held back over all lanes to draw the next one from; 0 keeps the order.
    """

    sources: Sequence[Callable[[], Iterator[str]]]
    pack: Callable[[Iterable[str]], Iterator[np.ndarray]]
    seed: int
    shuffled: int = SHUFFLED

    @property
    def lanes(self) -> int:
        """How many lanes there are: as many for each source."""
        return len(self.sources) * -(-LEAST_LANES // len(self.sources))

    def share(self, step: int, batch: int, rank: int, world: int) -> int:
        """Samples of a step that fall to a device."""
        places = np.arange(step * batch, (step + 1) * batch) % self.lanes
        return int(np.count_nonzero(places % world == rank))

    def read(self, begin: int, rank: int = 0, world: int = 1, workers: int = 0) -> Iterator[Place]:
        """Places and samples of the lanes of one device, from place `begin` on, without end."""
        mine = list(range(rank, self.lanes, world))
        loader: DataLoader[Any] = DataLoader(
            _Lanes(self, mine, begin // self.lanes),
            batch_size=None,
            collate_fn=_as_it_is,
            worker_init_fn=_alone,
            generator=torch.Generator(),  # leaves the one of dropout as it is
            num_workers=min(workers, len(mine)),
            prefetch_factor=4 if workers else None,
        )
        blocks = iter(loader)
        for first in itertools.count(begin // self.lanes, BLOCK):
            block: dict[int, list[np.ndarray]] = {}
            while len(block) < len(mine):  # the workers answer in turn
                block |= next(blocks)
            for row in range(BLOCK):
                for lane in mine:
                    place = (first + row) * self.lanes + lane
                    if place >= begin:
                        yield place, block[lane][row]


def _alone(_: int) -> None:
    """Keeps a worker's tokenizer to one thread: the workers are what runs in parallel."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def _as_it_is(block: Any) -> Any:
    """In place of a loader's own way, which makes tensors of arrays."""
    return block


class _Lanes(IterableDataset[dict[int, list[np.ndarray]]]):
    """Blocks of samples by lane; with workers, each reads some of the lanes."""

    def __init__(self, stream: Stream, lanes: Sequence[int], begin: int) -> None:
        self.stream, self.lanes, self.begin = stream, lanes, begin

    def __iter__(self) -> Iterator[dict[int, list[np.ndarray]]]:
        worker = get_worker_info()
        mine = self.lanes[worker.id :: worker.num_workers] if worker else self.lanes
        count = len(self.stream.sources)
        groups: dict[int, list[int]] = {}
        for lane in mine:
            groups.setdefault(lane % count, []).append(lane)
        readers: dict[int, Iterator[np.ndarray]] = {}
        for source, lanes in groups.items():
            dealer = _Dealer(self.stream, source, frozenset(lanes))
            readers |= {lane: dealer.samples(lane) for lane in lanes}
        for samples in readers.values():
            next(itertools.islice(samples, self.begin, self.begin), None)  # skips the first ones
        while True:
            yield {lane: list(itertools.islice(readers[lane], BLOCK)) for lane in mine}


@dataclass
class _Dealer:
    """Deals the documents of a source out to its lanes, the next one to the lane with least text.

    So lanes run evenly, and every worker finds the same lane without tokenizing what is another's.
    """

    stream: Stream
    source: int
    mine: frozenset[int]
    waiting: dict[int, deque[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.stream.sources)
        self.lanes = list(range(self.source, self.stream.lanes, count))
        self.dealt = np.zeros(len(self.lanes), np.int64)  # characters
        self.waiting = {lane: deque() for lane in self.mine}
        self.text = self._again()

    def _again(self) -> Iterator[str]:
        """The documents of the source, pass after pass; ends where a pass has none."""
        while True:
            empty = True
            for document in self.stream.sources[self.source]():
                empty = False
                yield document
            if empty:
                return

    def _documents(self, lane: int) -> Iterator[str]:
        """The documents of one lane."""
        while True:
            while not self.waiting[lane]:
                document = next(self.text, None)
                if document is None:
                    return
                to = int(self.dealt.argmin())
                self.dealt[to] += len(document)
                if self.lanes[to] in self.mine:
                    self.waiting[self.lanes[to]].append(document)
            yield self.waiting[lane].popleft()

    def samples(self, lane: int) -> Iterator[np.ndarray]:
        """The samples of a lane, shuffled within a buffer."""
        rng = np.random.default_rng((self.stream.seed, lane))
        samples = self.stream.pack(self._documents(lane))
        buffer = list(itertools.islice(samples, self.stream.shuffled // self.stream.lanes))
        for sample in samples:
            if not buffer:
                yield sample
                continue
            chosen = int(rng.integers(len(buffer)))
            buffer[chosen], sample = sample, buffer[chosen]
            yield sample
