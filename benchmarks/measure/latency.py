# SPDX-License-Identifier: Apache-2.0
"""Single-stream latency of several subjects on the same queries, with honest intervals.

Single stream is MLPerf Inference's term (Reddi et al. 2020, section III-D): one query at a time,
the next one sent when the last has been answered. Subjects are interleaved query by query, so
that a machine which slows down for a while slows all of them down and their ratio stays right.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

Q = TypeVar("Q")
Floats = npt.NDArray[np.float64]

# Linear interpolation between order statistics: NumPy's and R's default (Hyndman & Fan 1996,
# definition 7), so that anybody gets the same percentiles from the raw samples.
PERCENTILE_METHOD: Final = "linear"

# 95 % bounds of 2,000 resamples move by about 1 % of the interval's width from seed to seed.
RESAMPLES = 2_000
DRAWS = 50  # at a time
CONFIDENCE = 0.95

# What MLPerf Inference asks of a single-stream figure (Reddi et al. 2020, section III-D): about 100
# samples lie above the 90th percentile then, and the processor's clock has settled.
VALID_QUERIES = 1_024
VALID_SECONDS = 60.0

# With one round alone nothing tells a slow query from a disturbed one.
LEAST_ROUNDS = 2

# The same queries' slowest times over their fastest, between 2 or 3 rounds: 1.05 to 1.08 on two
# quiet cores, 1.12 to 1.35 with three competing processes, for calls of 5 to 70 ms. Calls under a
# millisecond reach 1.2 by themselves: there the caution is due as well.
BUSY_SPREAD = 1.1
SPREAD_ROUNDS = 3


@dataclass(frozen=True)
class Summary:
    """What one subject took, in milliseconds (but `count`, the number of samples).

    `*_low` and `*_high` bound the bootstrap 95 % interval of the mean and of the median.
    """

    count: int
    mean: float
    mean_low: float
    mean_high: float
    p50: float
    p50_low: float
    p50_high: float
    p90: float
    p99: float
    min: float
    max: float


@dataclass(frozen=True)
class Stream:
    """A single stream of queries through every subject.

    Attributes:
        samples: as `measure` returns them.
        rounds: how often the queries were gone through.
        queries: asked of each subject, all rounds together.
        seconds: that all subjects were timed, one after another.
    """

    samples: dict[str, list[float]]
    rounds: int
    queries: int
    seconds: float

    @property
    def too_short(self) -> str | None:
        """Why the figures are not valid ones; None where they are."""
        if self.queries >= VALID_QUERIES and self.seconds >= VALID_SECONDS:
            return None
        return (
            f"{self.queries:,} queries in {self.seconds:.1f} s, where a valid figure has at least "
            f"{VALID_QUERIES:,} and {VALID_SECONDS:.0f} s"
        )


def stream(
    subjects: Mapping[str, Callable[[Q], object]],
    queries: Sequence[Q],
    *,
    seed: int,
    least_rounds: int = LEAST_ROUNDS,
    least_queries: int = VALID_QUERIES,
    least_seconds: float = VALID_SECONDS,
    warmup: int = 3,
    progress: Callable[[int, float], None] | None = None,
) -> Stream:
    """Time every subject until there are enough queries and seconds, in whole rounds.

    Args:
        subjects: as for `measure`.
        queries: of one round.
        seed: of the order in which the subjects take turns; each round has an order of its own.
        least_rounds: how often all queries are asked, at least.
        least_queries: asked of each subject.
        least_seconds: that the stream lasts, all subjects together.
        warmup: as for `measure`, before the first round.
        progress: called with (queries done, seconds of the rounds before), outside timed calls.
    """
    samples: dict[str, list[float]] = {name: [] for name in subjects}
    rounds, seconds = 0, 0.0
    while rounds < least_rounds or rounds * len(queries) < least_queries or seconds < least_seconds:
        before = rounds * len(queries), seconds

        def told(done: int, _: int, before: tuple[int, float] = before) -> None:
            if progress is not None:
                progress(before[0] + done, before[1])

        found = measure(
            subjects,
            queries,
            rounds=1,
            seed=seed + rounds,
            warmup=0 if rounds else warmup,
            progress=told,
        )
        for name, times in found.items():
            samples[name] += times
            seconds += sum(times) / 1e3
        rounds += 1
    return Stream(samples, rounds, rounds * len(queries), seconds)


def measure(
    subjects: Mapping[str, Callable[[Q], object]],
    queries: Sequence[Q],
    *,
    rounds: int,
    seed: int,
    warmup: int = 3,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, list[float]]:
    """Time every subject on every query, single stream.

    Args:
        subjects: a name and a function that returns once its answer is complete (a function that
            leaves work on an accelerator must synchronize itself).
        queries: what the functions take; every subject gets the same ones.
        rounds: how many times all the queries are gone through.
        seed: of the order in which the subjects take turns, drawn anew for each query.
        warmup: untimed calls a subject, on the first queries.
        progress: called with (queries done, queries in all), outside the timed calls.

    Returns:
        For each subject `rounds * len(queries)` milliseconds: the first round's queries in their
        order, then the second round's, and so on.

    Raises:
        ValueError: there is nothing to measure.
    """
    if not subjects or not queries or rounds < 1 or warmup < 0:
        raise ValueError(
            f"got {len(subjects)} subjects, {len(queries)} queries, {rounds} rounds and "
            f"{warmup} warm-up calls; at least 1, 1, 1 and 0 are needed: nothing was measured"
        )
    turns = list(subjects)
    samples: dict[str, list[float]] = {name: [] for name in turns}
    total = rounds * len(queries)
    for name in turns:
        for call in range(warmup):
            subjects[name](queries[call % len(queries)])

    shuffle = random.Random(seed).shuffle  # noqa: S311 - an order, no secret
    collects = gc.isenabled()
    gc.disable()  # Python's collector walks every live object: its pauses are not the model's
    try:
        for done in range(total):
            query = queries[done % len(queries)]
            shuffle(turns)
            for name in turns:
                subject = subjects[name]
                start = time.perf_counter_ns()
                subject(query)
                samples[name].append((time.perf_counter_ns() - start) / 1e6)
            if progress is not None:
                progress(done + 1, total)
    finally:
        if collects:
            gc.enable()
    return samples


def summarize(samples: Sequence[float], *, rounds: int = 1, seed: int = 0) -> Summary:
    """Describe one subject's samples.

    Args:
        samples: milliseconds, round-major as `measure` returns them.
        rounds: how many rounds they hold. The bootstrap draws whole queries: a query asked
            twice is no second independent observation.
        seed: of the bootstrap.

    Raises:
        ValueError: no samples, samples that are not finite, or no whole number of rounds.
    """
    grid = _grid(samples, rounds)  # (rounds, queries)
    p50, p90, p99 = _percentiles(grid, (50, 90, 99))
    means, medians = [], []
    for chosen in _resample(grid.shape[1], seed):
        drawn = grid[:, chosen]  # (rounds, draws, queries)
        means.append(drawn.mean(axis=(0, 2)))
        medians.append(np.median(drawn, axis=(0, 2)))
    (mean_low, mean_high), (p50_low, p50_high) = _interval(means), _interval(medians)
    return Summary(
        count=grid.size,
        mean=float(grid.mean()),
        mean_low=mean_low,
        mean_high=mean_high,
        p50=p50,
        p50_low=p50_low,
        p50_high=p50_high,
        p90=p90,
        p99=p99,
        min=float(grid.min()),
        max=float(grid.max()),
    )


def ratio(
    a: Sequence[float], b: Sequence[float], seed: int, *, rounds: int = 1, paired: bool = True
) -> tuple[float, float, float]:
    """How many times the mean time of `b` the mean time of `a` is, paired by query.

    Args:
        a: milliseconds of the slower subject, round-major.
        b: milliseconds of the faster subject on the same queries, round-major.
        seed: of the bootstrap.
        rounds: how many rounds both hold.
        paired: False for times of different queries, whose numbers may differ.

    Returns:
        (mean(a) / mean(b), low, high): the bounds are the percentile bootstrap's 95 % interval
        (Efron & Tibshirani 1993, chapter 13), where each draw takes the same queries of both.

    Raises:
        ValueError: as `summarize`, or paired times differ in length, or `b` took no time.
    """
    slower, faster = _grid(a, rounds), _grid(b, rounds)  # (rounds, queries) each
    if paired and slower.shape != faster.shape:
        raise ValueError(
            f"got {slower.size} and {faster.size} samples; a ratio pairs the same queries: "
            "take both from one call of measure"
        )
    if not faster.min() > 0:
        raise ValueError("got a time of 0 ms in the divisor; times must be positive")
    draws = _resample(slower.shape[1], seed)
    others = _resample(faster.shape[1], seed if paired else seed + 1)  # the same seed, the same
    ratios = [
        slower[:, chosen].mean(axis=(0, 2)) / faster[:, other].mean(axis=(0, 2))
        for chosen, other in zip(draws, others, strict=True)
    ]
    return (float(slower.mean() / faster.mean()), *_interval(ratios))


def busy(samples: Mapping[str, Sequence[float]], *, rounds: int) -> str | None:
    """Say whether other work disturbed the measurement.

    Args:
        samples: as `measure` returns them.
        rounds: how many rounds they hold.

    Returns:
        None where the rounds agree, else the reason to distrust the times: the same queries took
        longer in one round than in another, or there was one round only, which cannot tell.
    """
    if rounds < 2:
        return "one round only: nothing shows whether other work disturbed it"
    spreads = {name: _spread(_grid(times, rounds)) for name, times in samples.items()}
    worst = max(spreads, key=lambda name: spreads[name])
    if spreads[worst] <= BUSY_SPREAD:
        return None
    return (
        f"the machine was busy: {worst} took {spreads[worst]:.2f} times as long in each query's "
        f"slowest round as in its fastest (at most {BUSY_SPREAD:.2f} is expected)"
    )


def _spread(grid: Floats) -> float:
    """Slowest over fastest round of each query of `grid` (rounds, queries), weighted by time.

    Many rounds are put together to a few: extremes of many are far apart by themselves.
    """
    parts = np.array_split(grid, min(len(grid), SPREAD_ROUNDS))
    grid = np.stack([part.mean(axis=0) for part in parts])  # (rounds, queries) -> (at most 3, Q)
    return float(grid.max(axis=0).sum() / grid.min(axis=0).sum())


def _grid(samples: Sequence[float], rounds: int) -> Floats:
    """Samples as a (rounds, queries) array."""
    times = np.asarray(samples, dtype=np.float64)
    if times.size == 0 or rounds < 1 or times.size % rounds or not np.isfinite(times).all():
        raise ValueError(
            f"got {times.size} samples and {rounds} rounds; finite samples are needed, the same "
            "number in every round"
        )
    return times.reshape(rounds, -1)  # (rounds * queries,) -> (rounds, queries)


def _resample(queries: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the bootstrap's draws: indices of `queries` queries, taken with replacement.

    A block of draws (draws, queries) at a time: single ones are slow, all at once are large.
    """
    generator = np.random.default_rng(seed)
    for begin in range(0, RESAMPLES, DRAWS):
        yield generator.integers(queries, size=(min(DRAWS, RESAMPLES - begin), queries))


def _interval(statistics: Sequence[Floats]) -> tuple[float, float]:
    """The percentile interval of a statistic's bootstrap distribution, which comes in blocks."""
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = _percentiles(np.concatenate(statistics), (tail, 100 - tail))
    return low, high


def _percentiles(values: npt.NDArray[Any], percents: Sequence[float]) -> list[float]:
    return [float(p) for p in np.percentile(values, percents, method=PERCENTILE_METHOD)]
