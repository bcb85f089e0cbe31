# SPDX-License-Identifier: Apache-2.0
"""What a benchmark asks: windows of random tokens, as long as real ones, or another `Asked`.

How long a model takes depends on the number of tokens and not on which they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from benchmarks.measure.errors import Floats, joined

if TYPE_CHECKING:
    from benchmarks.measure.schema import Metric

Ids = npt.NDArray[np.int32]

# Deciles of the word pieces of SQuAD 1.1's dev set, question, passage and special tokens together
# (bert-base-uncased): the shortest of its 10,570 questions first, the longest last.
SQUAD_DECILES = (43, 112, 126, 140, 150, 164, 179, 198, 229, 264, 637)

# Follows the name of a file that reads every window of a passage, whatever its model.json says.
EVERY = ", every window"

# Word pieces of a question with [CLS] and [SEP], about; the passage follows.
QUESTION_PIECES = 14


class Model(Protocol):
    """What is timed: `converters.runtimes.predictor.Predictor`, of which only this is used."""

    def run(self, ids: Ids, mask: Ids, segment_ids: Ids) -> tuple[Any, ...]:
        """Run once, on int32 (1, S) each."""
        ...


class Asked(Protocol):
    """The queries of a benchmark, and how a model answers them.

    Attributes:
        one: what one query is, in words; it ends "one ... at a time".
        source: "squad", "given", or the name of a question set; `sha256` of its content, and how
            many questions it has, `available`: None without one.
        queries: of one round, whatever `subject` makes of them.
        tokens: of each query.
        metrics: of `scores`, the most important one first; empty where nothing is scored.
    """

    one: str
    source: str
    sha256: str | None
    available: int | None
    queries: Sequence[Any]
    tokens: list[int]
    metrics: Sequence[Metric]

    def subject(self, name: str, model: Model, pad_to: int | None) -> Callable[[Any], object]:
        """A function that answers one query with `model`, padded or (None) at its own length."""
        ...

    def logits(self, name: str, model: Model, pad_to: int | None, count: int) -> list[Floats]:
        """The logits of each input of the first `count` queries, (N,), padding cut off.

        `name` is that of a subject: two models that are compared get the same ids.
        """
        ...

    def phases(self, name: str, count: int) -> dict[str, list[float]] | None:
        """Milliseconds of "tokenize", "infer" and "decode" in the last `count` answers.

        None where a query is inference and nothing else.
        """
        ...

    def scores(self, name: str) -> dict[str, float] | None:
        """Scores of the last round's predictions by metric; None where nothing is scored."""
        ...


@dataclass(frozen=True, eq=False)
class Window:
    """The inputs of a model, int32 (1, S): token ids, 1 for each token, 0 question 1 passage."""

    ids: Ids
    mask: Ids
    segment_ids: Ids

    @property
    def arrays(self) -> tuple[Ids, Ids, Ids]:
        """In the order that models take them."""
        return self.ids, self.mask, self.segment_ids

    def padded(self, length: int) -> Window:
        """The same window padded with zeros to (1, length)."""
        extra = ((0, 0), (0, max(0, length - self.ids.shape[1])))
        return Window(*(np.pad(array, extra) for array in self.arrays))


def squad_lengths(count: int, longest: int, seed: int) -> list[int]:
    """Draw token lengths as SQuAD's dev set has them, linear between its deciles.

    One length is drawn from each of `count` equally probable parts of the distribution, and their
    order is shuffled: few draws have its mean already.

    Args:
        count: how many.
        longest: longer ones are cut to it, as a window is.
        seed: of the draws and their order.
    """
    generator = np.random.default_rng(seed)
    places = (generator.permutation(count) + generator.random(count)) / count
    drawn = np.interp(places, np.linspace(0, 1, len(SQUAD_DECILES)), SQUAD_DECILES)
    return [min(int(length), longest) for length in np.rint(drawn)]


def given_lengths(count: int, lengths: Sequence[int], seed: int) -> list[int]:
    """`count` token lengths in shuffled order, each of `lengths` as often as the others."""
    whole = np.resize(np.asarray(lengths, dtype=np.int64), count)
    return [int(length) for length in np.random.default_rng(seed).permutation(whole)]


class RandomWindows:
    """Windows of random ids from 0 to `vocabulary` - 1, one for each of `tokens`: an `Asked`."""

    one = "window of random tokens"
    sha256: str | None = None
    available: int | None = None
    metrics: Sequence[Metric] = ()

    def __init__(
        self, source: str, tokens: list[int], *, vocabulary: int, pad_to: int, seed: int
    ) -> None:
        self.source, self.tokens = source, tokens
        generator = np.random.default_rng(seed)
        windows = [_random_window(length, vocabulary, generator) for length in tokens]
        self.queries: Sequence[tuple[Window, Window]] = [(w, w.padded(pad_to)) for w in windows]

    def subject(self, name: str, model: Model, pad_to: int | None) -> Callable[[Any], object]:
        """See `Asked.subject`; the windows are padded already, to what was given at first."""
        place = 0 if pad_to is None else 1
        return lambda query: model.run(*query[place].arrays)

    def logits(self, name: str, model: Model, pad_to: int | None, count: int) -> list[Floats]:
        """See `Asked.logits`."""
        found = []
        for window, padded in self.queries[:count]:
            given = window if pad_to is None else padded
            outputs = model.run(*given.arrays)
            found.append(joined(outputs, window.ids.shape[1], given.ids.shape[1]))
        return found

    def phases(self, name: str, count: int) -> dict[str, list[float]] | None:
        """See `Asked.phases`."""
        return None

    def scores(self, name: str) -> dict[str, float] | None:
        """See `Asked.scores`."""
        return None


def _random_window(length: int, vocabulary: int, generator: np.random.Generator) -> Window:
    ids = generator.integers(0, vocabulary, (1, length), dtype=np.int32)
    segment_ids = (np.arange(length) >= QUESTION_PIECES).astype(np.int32)[None]  # (S,) -> (1, S)
    return Window(ids, np.ones_like(ids), segment_ids)
