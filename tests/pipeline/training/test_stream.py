# SPDX-License-Identifier: Apache-2.0
"""A streamed text: the same samples on any number of devices, masked anew in every pass."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

from pipeline.training.batches import Schedule
from pipeline.training.distil import Masking, count_pieces
from pipeline.training.loader import Loader, Split
from pipeline.training.stream import Place, Stream

DOCUMENTS = 200


def pack(documents: Iterable[str]) -> Iterator[np.ndarray]:
    """A sample of four equal pieces for each document."""
    return (np.full(4, int(document.split()[0]), np.int32) for document in documents)


def documents(source: int, even: bool) -> Iterator[str]:
    """Numbers, with as much text behind them as their last digit says, or all as long."""
    for number in range(source * DOCUMENTS, DOCUMENTS * (source + 1)):
        yield f"{number:05} " + "text " * (0 if even else number % 10)


def stream(sources: int = 1, shuffled: int = 0, even: bool = False) -> Stream:
    return Stream([partial(documents, s, even) for s in range(sources)], pack, 7, shuffled)


def read(text: Stream, count: int, begin: int = 0, **more: int) -> list[tuple[int, int]]:
    """The first places with the piece of their sample."""
    items: Iterator[Place] = text.read(begin, **more)
    return [(place, int(sample[0])) for place, sample in itertools.islice(items, count)]


def test_places_count_on_over_the_passes() -> None:
    found = read(stream(even=True), 3 * DOCUMENTS)
    assert [place for place, _ in found] == list(range(3 * DOCUMENTS))
    counts = Counter(piece for _, piece in found)
    assert counts == dict.fromkeys(range(DOCUMENTS), 3)


def test_later_passes_are_masked_anew(tokenizer: Any) -> None:
    text = np.array([2, *range(20, 60), 3], np.int32)
    same = Stream([lambda: iter(["text"])], lambda documents: (text for _ in documents), 7)
    assert same.lanes == 64
    samples = list(itertools.islice(same.read(0), 3 * same.lanes))
    make = Masking(
        tokenizer, count_pieces([text], len(tokenizer)), share=0.15, smoothing=0.7, seed=1
    )
    masks = {make([sample])["labels"].numpy().tobytes() for sample in samples}
    assert len(masks) == len(samples), "no two are alike, of 42 over 6 ways"


@pytest.mark.parametrize("shuffled", [0, 256])
@pytest.mark.parametrize("world", [2, 3, 8])
def test_devices_together_read_what_one_reads(world: int, shuffled: int) -> None:
    text = stream(sources=3, shuffled=shuffled)
    alone = read(text, 700)
    together = itertools.chain.from_iterable(
        read(text, 700, rank=r, world=world) for r in range(world)
    )
    found = dict(together)
    assert [(place, found[place]) for place in range(700)] == alone


def test_workers_read_what_one_process_reads() -> None:
    text = stream(sources=3, shuffled=64)
    assert read(text, 400, workers=2) == read(text, 400)
    assert read(text, 100, begin=321, rank=1, world=2, workers=2) == read(
        text, 100, begin=321, rank=1, world=2
    )


@pytest.mark.parametrize("begin", [1, 100, 64 * 16, 1500])
def test_a_stream_can_begin_anywhere(begin: int) -> None:
    text = stream(shuffled=128)
    assert read(text, 100, begin=begin) == read(text, begin + 100)[begin:]


def test_samples_are_shuffled() -> None:
    plain, mixed = (read(stream(even=True, shuffled=n), 400) for n in (0, 2048))
    assert plain != mixed
    assert [piece for _, piece in plain[:DOCUMENTS]] == list(range(DOCUMENTS)), (
        "in the order of the text"
    )


def test_files_are_lanes_of_their_own() -> None:
    assert [stream(n).lanes for n in (1, 3, 41, 64, 100)] == [64, 66, 82, 64, 100]
    found = read(stream(sources=3), 300)
    assert all(piece // DOCUMENTS == place % 66 % 3 for place, piece in found)


# Micro-batches


def collate(items: Any) -> Any:
    return {"place": [place for place, _ in items]}


def loaded(examples: Any, split: Split, steps: int, begin: int = 0) -> list[list[list[Any]]]:
    """Places by step, device and micro-batch; None where the examples do not count."""
    of_device = []
    for rank in range(split.world):
        loader = Loader(examples, collate, split, rank, steps, lambda: begin)
        micro = [(b["place"] if real else None) for b, real in loader]
        assert len(micro) == len(loader) - begin * loader.micro_batches
        of_device.append(
            [
                micro[i : i + loader.micro_batches]
                for i in range(0, len(micro), loader.micro_batches)
            ]
        )
    return [list(step) for step in zip(*of_device, strict=True)]


@pytest.mark.parametrize(("world", "most"), [(1, None), (1, 2), (2, None), (3, 1), (8, None)])
@pytest.mark.parametrize("kind", ["schedule", "stream"])
def test_a_step_has_the_same_examples_on_any_number_of_devices(
    world: int, most: int | None, kind: str
) -> None:
    split = Split(8, world, most)
    examples: Any = stream(3) if kind == "stream" else Schedule(range(32), [1] * 32, 8, 1.0, 3)
    for begin in (0, 2):
        for step, parts in enumerate(loaded(examples, split, 4, begin), start=begin):
            micro = [places for device in parts for places in device if places]
            assert sorted(itertools.chain.from_iterable(micro)) == list(
                range(8 * step, 8 * step + 8)
            )
            assert all(len(places) <= (most or 8) for places in micro)


def test_the_last_batch_may_be_short() -> None:
    """23 samples on two devices: the last step has three, and after 21 it has one."""
    for count, last in ((23, [[[20, 21]], [[22]]]), (21, [[[20]], [None]])):
        examples = Schedule(range(count), [1] * count, 5, 1.0, 3)
        assert loaded(examples, Split(5, 2), 5)[-1] == last
