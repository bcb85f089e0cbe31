# SPDX-License-Identifier: Apache-2.0
"""Latency: order of the calls, hand-computed statistics, intervals with known coverage."""

from __future__ import annotations

import gc
import itertools
import math
import time
from collections import Counter

import numpy as np
import pytest

from benchmarks.measure.latency import busy, measure, ratio, summarize


def _recorded(seed: int, rounds: int = 3, warmup: int = 2) -> list[tuple[str, int]]:
    """The (subject, query) calls of a measurement of subjects a, b, c on queries 0 to 19."""
    calls: list[tuple[str, int]] = []
    subjects = {name: (lambda query, name=name: calls.append((name, query))) for name in "abc"}
    measure(subjects, range(20), rounds=rounds, seed=seed, warmup=warmup)
    return calls


def test_every_subject_gets_every_query_once_a_round_in_shuffled_order() -> None:
    calls = _recorded(seed=1)
    warm, timed = calls[: 3 * 2], calls[3 * 2 :]
    assert Counter(warm) == Counter(itertools.product("abc", [0, 1]))
    turns = [timed[i : i + 3] for i in range(0, len(timed), 3)]
    for turn, query in zip(turns, list(range(20)) * 3, strict=True):
        assert Counter(turn) == Counter((name, query) for name in "abc")
    # 60 shuffles of 3 subjects: each of the 6 orders turns up, as do all in all but 1 of 10^4 seeds
    assert len({tuple(name for name, _ in turn) for turn in turns}) == 6


def test_the_seed_alone_decides_the_order() -> None:
    assert _recorded(seed=1) == _recorded(seed=1) != _recorded(seed=2)


def test_samples_are_milliseconds_in_query_order(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0]
    monkeypatch.setattr(time, "perf_counter_ns", lambda: clock[0])

    def advance(milliseconds: float) -> None:
        clock[0] += round(milliseconds * 1e6)

    seen: list[tuple[int, int]] = []
    samples = measure(
        {"once": advance, "twice": lambda query: advance(2 * query)},
        [1.5, 4.0],
        rounds=2,
        seed=0,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert samples == {"once": [1.5, 4.0, 1.5, 4.0], "twice": [3.0, 8.0, 3.0, 8.0]}
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_collector_rests_while_timing_and_works_again_after_an_error() -> None:
    states: list[bool] = []

    def fail_late(query: int) -> None:
        states.append(gc.isenabled())
        if query == 1:
            raise RuntimeError("subject failed")

    with pytest.raises(RuntimeError, match="subject failed"):
        measure({"a": fail_late}, [0, 1], rounds=1, seed=0, warmup=0)
    assert states == [False, False]
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("subjects", "queries", "rounds", "warmup"),
    [({}, [1], 1, 0), ({"a": str}, [], 1, 0), ({"a": str}, [1], 0, 0), ({"a": str}, [1], 1, -1)],
)
def test_nothing_to_measure_is_refused(subjects, queries, rounds, warmup) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="nothing was measured"):
        measure(subjects, queries, rounds=rounds, seed=0, warmup=warmup)


def test_percentiles_by_hand() -> None:
    # Position of percentile p among 5 sorted values: 4 p / 100, between neighbors linearly.
    summary = summarize([50.0, 10.0, 40.0, 20.0, 30.0])
    assert (summary.count, summary.min, summary.max) == (5, 10.0, 50.0)
    assert summary.mean == pytest.approx(30.0)
    assert summary.p50 == pytest.approx(30.0)
    assert summary.p90 == pytest.approx(46.0)  # position 3.6: 40 + 0.6 * 10
    assert summary.p99 == pytest.approx(49.6)  # position 3.96: 40 + 0.96 * 10


def test_interval_of_the_mean_is_the_one_theory_gives() -> None:
    samples = np.random.default_rng(3).normal(100, 10, size=400)
    summary = summarize(list(samples))
    half = 1.96 * samples.std() / math.sqrt(400)
    # The bounds of 2,000 draws scatter by about 3 % of the half width; 10 % is three times that.
    assert summary.mean_low == pytest.approx(samples.mean() - half, abs=0.1 * half)
    assert summary.mean_high == pytest.approx(samples.mean() + half, abs=0.1 * half)
    assert summary.p50_low <= summary.p50 <= summary.p50_high


def test_repeating_the_queries_does_not_narrow_the_interval() -> None:
    samples = list(np.random.default_rng(4).normal(100, 10, size=50))
    once, four_times = summarize(samples), summarize(samples * 4, rounds=4)
    assert (four_times.mean_low, four_times.mean_high) == pytest.approx(
        (once.mean_low, once.mean_high)
    )


def test_summary_is_reproducible() -> None:
    samples = list(np.random.default_rng(6).normal(100, 10, size=50))
    assert summarize(samples, seed=5) == summarize(samples, seed=5)
    assert summarize(samples, seed=5) != summarize(samples, seed=6)


def test_ratio_is_paired_by_query() -> None:
    fast = np.random.default_rng(5).lognormal(3, 1, size=100)
    # Exactly 3 times each query's time: an unpaired interval would be about 1 wide.
    assert ratio(list(3 * fast), list(fast), 0) == pytest.approx((3.0, 3.0, 3.0))


def test_ratio_of_means_by_hand() -> None:
    value, low, high = ratio([9.0, 11.0, 10.0, 10.0], [4.0, 6.0, 5.0, 5.0], 0, rounds=2)
    assert value == pytest.approx(40 / 20)
    assert low <= value <= high


def test_ratio_interval_covers_the_truth_about_95_times_in_100() -> None:
    covered = 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        fast = generator.normal(10, 1, size=60)
        slow = 2 * fast + generator.normal(0, 1, size=60)  # E[slow] / E[fast] = 2
        _, low, high = ratio(list(slow), list(fast), seed)
        covered += low <= 2 <= high
    assert 88 <= covered <= 99  # binomial(100, 0.95): outside less than once in 100 sets of seeds


@pytest.mark.parametrize(("slow", "fast"), [([1.0, 2.0], [1.0]), ([1.0], [0.0]), ([], [])])
def test_ratio_refuses_what_cannot_be_paired(slow: list[float], fast: list[float]) -> None:
    with pytest.raises(ValueError, match="got"):
        ratio(slow, fast, 0)


@pytest.mark.parametrize(("samples", "rounds"), [([], 1), ([1.0, math.nan], 1), ([1.0] * 3, 2)])
def test_samples_that_are_no_whole_rounds_are_refused(samples: list[float], rounds: int) -> None:
    with pytest.raises(ValueError, match=f"got {len(samples)} samples and {rounds} rounds"):
        summarize(samples, rounds=rounds)


def test_busy_names_the_subject_that_was_disturbed() -> None:
    quiet = [10.0, 20.0, 10.4, 20.6]
    disturbed = [10.0, 20.0, 10.0, 30.0]  # (10 + 30) / (10 + 20) = 1.33
    assert busy({"quiet": quiet}, rounds=2) is None
    reason = busy({"quiet": quiet, "disturbed": disturbed}, rounds=2)
    assert reason is not None
    assert "disturbed took 1.33 times" in reason


def test_one_round_cannot_tell_whether_the_machine_was_busy() -> None:
    assert "one round" in str(busy({"a": [1.0]}, rounds=1))


def test_many_rounds_are_put_together_before_they_are_compared() -> None:
    noise = np.random.default_rng(7).normal(0, 0.4, size=(30, 50))
    quiet = 10 + noise  # extremes of 30 rounds are 1.17 apart, of their thirds 1.01
    assert busy({"quiet": list(quiet.ravel())}, rounds=30) is None
    slower = quiet + 3.0 * (np.arange(30) >= 20)[:, None]
    assert busy({"slower": list(slower.ravel())}, rounds=30) is not None


def test_unpaired_ratio_takes_other_numbers_of_queries() -> None:
    generator = np.random.default_rng(8)
    slow, fast = generator.normal(20, 2, size=400), generator.normal(10, 1, size=900)
    value, low, high = ratio(list(slow), list(fast), 0, paired=False)
    # relative standard errors 0.1 / sqrt(400) and 0.1 / sqrt(900): together 0.6 %
    assert value == pytest.approx(2, rel=0.02)
    assert (high - low) / 2 == pytest.approx(1.96 * 0.006 * value, rel=0.15)
