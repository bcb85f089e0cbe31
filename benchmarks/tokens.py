# SPDX-License-Identifier: Apache-2.0
"""Measures how fast text becomes samples, and samples masked batches, alone and in a loader."""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from benchmarks.measure.stream_schema import Part, Span
from converters import ExpectedError
from pipeline.data.corpus import packer
from pipeline.data.pieces import REMEMBERED

if TYPE_CHECKING:
    import numpy as np

    from pipeline.training.distil import Masking

CHARACTERS: Final = 3000  # of a document: about the mean of an article of Wikipedia
# A training holds 8,192 back. To fill so many takes a while that is not counted, and the speed
# afterwards is the same.
SHUFFLED: Final = 512
TOKENIZING, MASKING, LOADER = "tokenizing", "masking", "loader"


@dataclass(frozen=True)
class Material:
    """What is measured.

    Attributes:
        tokenizer: a fast BERT tokenizer of transformers.
        documents: texts whose paragraphs are parted by empty lines.
        length: tokens of a sample.
        batch: samples of a batch.
        seconds: how long a loader is measured.
        seed: of the order and the masks.
        masking: of the training.
        samples: of one pass over the documents.
    """

    tokenizer: Any
    documents: Sequence[str]
    length: int
    batch: int
    seconds: float
    seed: int
    masking: Masking
    samples: Sequence[np.ndarray]

    @property
    def tokens(self) -> int:
        """Tokens in one pass over the documents."""
        return sum(map(len, self.samples))


def documents_of(paragraphs: Iterable[str], characters: int = CHARACTERS) -> list[str]:
    """Documents of some paragraphs each, with this many characters or more but for the last one."""
    found: list[str] = []
    some: list[str] = []
    for paragraph in paragraphs:
        some.append(paragraph)
        if sum(map(len, some)) >= characters:
            found.append("\n\n".join(some))
            some = []
    return [*found, "\n\n".join(some)] if some else found


def material(
    tokenizer: Any, documents: Sequence[str], length: int, batch: int, seconds: float, seed: int
) -> Material:
    """Packs the documents once, for what is masked alone.

    Raises:
        ExpectedError: they have too little text for a batch.
    """
    from pipeline.config import Distil
    from pipeline.training.distil import Masking, count_pieces

    samples = list(packer(tokenizer, length)(documents))
    if len(samples) < batch:
        raise ExpectedError(
            f"--text makes {len(samples)} samples of {length} tokens, and {batch} are needed for "
            "a batch: add text, or lower --batch-size"
        )
    masking = Masking(
        tokenizer,
        count_pieces(samples, len(tokenizer)),
        share=Distil.mask_share,
        smoothing=Distil.mask_smoothing,
        seed=seed,
    )
    return Material(tokenizer, documents, length, batch, seconds, seed, masking, samples)


def tokenizing(given: Material, remembered: int) -> Span:
    """One pass over the documents in this process, with nothing remembered at its beginning."""
    pack = packer(given.tokenizer, given.length, remembered)
    began = time.perf_counter()
    tokens = sum(map(len, pack(given.documents)))
    return {"tokens": tokens, "seconds": time.perf_counter() - began}


def masking(given: Material) -> Span:
    """Batches of the samples, masked in this process for as long as a loader is measured."""
    batches = range(0, len(given.samples) - given.batch + 1, given.batch)
    began, tokens, seconds = time.perf_counter(), 0, 0.0
    while seconds < given.seconds:
        for begin in batches:
            items = list(enumerate(given.samples[begin : begin + given.batch], begin))
            batch = given.masking(items)
            tokens += int(batch["attention_mask"].sum())
            if (seconds := time.perf_counter() - began) >= given.seconds:
                break
    return {"tokens": tokens, "seconds": seconds}


def loading(given: Material, remembered: int, workers: int) -> Span:
    """Batches as a training gets them, from the first one on."""
    from pipeline.training.loader import Loader, Split
    from pipeline.training.stream import Stream

    stream = Stream(
        [partial(_read, given.documents)],
        packer(given.tokenizer, given.length, remembered),
        given.seed,
        SHUFFLED,
    )
    loader = Loader(
        stream, given.masking, Split(given.batch), 0, sys.maxsize, lambda: 0, workers=workers
    )
    batches = iter(loader)
    next(batches)
    began, tokens, seconds = time.perf_counter(), 0, 0.0
    while seconds < given.seconds:
        batch, _ = next(batches)
        tokens += int(batch["attention_mask"].sum())
        seconds = time.perf_counter() - began
    return {"tokens": tokens, "seconds": seconds}


def _read(documents: Sequence[str]) -> Iterator[str]:
    return iter(documents)


def measure(
    given: Material,
    workers: Sequence[int],
    rounds: int,
    tell: Callable[[str], object] = print,
) -> list[Part]:
    """Measures every part in each round, in an order that the seed shuffles.

    Args:
        given: what is measured.
        workers: the numbers of workers of a loader.
        rounds: of each part.
        tell: is given a line as each round ends.
    """
    parts: dict[tuple[str, int | None, bool | None], Callable[[], Span]] = {
        (TOKENIZING, None, True): lambda: tokenizing(given, REMEMBERED),
        (TOKENIZING, None, False): lambda: tokenizing(given, 0),
        (MASKING, None, None): lambda: masking(given),
    }
    for count in workers:
        parts[LOADER, count, True] = partial(loading, given, REMEMBERED, count)
        parts[LOADER, count, False] = partial(loading, given, 0, count)
    spans: dict[tuple[str, int | None, bool | None], list[Span]] = {key: [] for key in parts}
    order = random.Random(given.seed)  # noqa: S311 - no secret
    for count in range(1, rounds + 1):
        for key in order.sample(list(parts), len(parts)):
            spans[key].append(parts[key]())
        tell(f"round {count} of {rounds}")
    return [
        {
            "name": name,
            "workers": count,
            "remembers": remembers,
            "tokens_per_second": round(statistics.median(map(speed, found)), 1),
            "rounds": found,
        }
        for (name, count, remembers), found in spans.items()
    ]


def speed(span: Span) -> float:
    """Tokens a second."""
    return span["tokens"] / span["seconds"]


def bound(parts: Sequence[Part], cores: int) -> float:
    """The most tokens a second of a text that is read once, tokenized and masked by all cores.

    Args:
        parts: with tokenizing that remembers words, and masking.
        cores: that share the work without any loss.
    """
    seconds = [1 / part["tokens_per_second"] for part in parts if is_bounding(part)]
    return cores / sum(seconds)


def is_bounding(part: Part) -> bool:
    """Whether every token of a training costs the time of a part."""
    return part["name"] == MASKING or (part["name"] == TOKENIZING and bool(part["remembers"]))


def cautions(found: Sequence[Part], tokens: int) -> list[str]:
    """What makes the figures of a loader doubtful: a text that it read more than once."""
    loaders = [part for part in found if part["workers"] is not None]
    most = max((span["tokens"] for part in loaders for span in part["rounds"]), default=0)
    if most <= tokens:
        return []
    return [
        f"a loader read the text {most / tokens:.1f} times in a round, and words that it remembers "
        "cost less: name more text"
    ]
