# SPDX-License-Identifier: Apache-2.0
"""The latency of files, which is the same part of a benchmark's JSON and of a build's report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from typing_extensions import TypedDict

from benchmarks.measure.checked import Amount, Bytes, Count, Milliseconds

Lengths = Literal["natural", "padded"]
NATURAL: Final = "natural"
PADDED: Final = "padded"


class Summary(TypedDict):
    """The time of one query. The bounds are a bootstrap interval over queries, confidence 0.95.

    Attributes:
        count: The number of samples.
        mean: The arithmetic mean.
        mean_low: The lower bound of the mean.
        mean_high: The upper bound of the mean.
        p50: The median.
        p50_low: The lower bound of the median.
        p50_high: The upper bound of the median.
        p90: The 90th percentile.
        p99: The 99th percentile.
        min: The fastest sample.
        max: The slowest sample.
    """

    count: Count
    mean: Milliseconds
    mean_low: Milliseconds
    mean_high: Milliseconds
    p50: Milliseconds
    p50_low: Milliseconds
    p50_high: Milliseconds
    p90: Milliseconds
    p99: Milliseconds
    min: Milliseconds
    max: Milliseconds


class LogitError(TypedDict):
    """How far the logits of a subject are from those of the fp32 model that it was made from.

    Attributes:
        largest: The largest absolute difference of a logit; null where a logit is not finite.
        range: The largest minus the smallest logit of the reference.
        reference: At most the last two parts of the path of the reference.
        inputs: The number of queries that were compared, each at its own length and padded.
    """

    largest: Amount | None
    range: Amount
    reference: str
    inputs: Count


class Subject(TypedDict):
    """A file that was timed.

    Attributes:
        path: At most the last two parts of its path.
        natural: The times of the queries at their own lengths; null where they were not timed.
        padded: The times of the queries padded to `padded_length`; null where they were not timed.
        load_ms: The time to open the file in a process of its own.
        first_ms: The time of the first inference in that process.
        peak_rss_bytes: The peak resident memory of that process.
        empty_rss_bytes: The resident memory of that process before it opened the file, with the
            runtime imported.
        logit_error: The error of its logits; null where no reference was given. The gates of a
            build's report have the errors of its files.
    """

    path: str
    natural: Summary | None
    padded: Summary | None
    load_ms: Milliseconds | None
    first_ms: Milliseconds | None
    peak_rss_bytes: Bytes | None
    empty_rss_bytes: Bytes | None
    logit_error: LogitError | None


class Ratio(TypedDict):
    """How many times faster one subject is than another.

    Attributes:
        faster: The subject whose mean time is the divisor.
        slower: The subject whose mean time is divided.
        faster_lengths: The input lengths of `faster`.
        slower_lengths: The input lengths of `slower`.
        ratio: The mean time of `slower` divided by the mean time of `faster`.
        low: The lower bound of a bootstrap interval that pairs the queries, confidence 0.95.
        high: The upper bound of that interval.
    """

    faster: str
    slower: str
    faster_lengths: Lengths
    slower_lengths: Lengths
    ratio: Amount
    low: Amount
    high: Amount


class Latency(TypedDict):
    """The times of all subjects, which took turns on the same queries.

    Attributes:
        method: A description of how the times were measured.
        threads: The number of threads of the runtime.
        queries: The number of queries of one round.
        rounds: How often all queries were run.
        padded_length: The number of tokens of padded inputs.
        mean_tokens: The mean number of tokens of a query at its own length.
        busy: The reason to distrust the times; null where the rounds agree.
        subjects: The subjects by their names.
        ratios: The comparisons; a report opens with the first one.
        samples_ms: The raw times by subject and lengths, `rounds` times `queries` of them each.
    """

    method: str
    threads: Count
    queries: Count
    rounds: Count
    padded_length: Count
    mean_tokens: Amount
    busy: str | None
    subjects: dict[str, Subject]
    ratios: list[Ratio]
    samples_ms: dict[str, dict[Lengths, list[Milliseconds]]]


def latency_contradictions(latency: Latency, where: str) -> Iterator[str]:
    """Yield a line for each field of `latency` that contradicts the fields beside it."""
    known = latency["subjects"].keys()
    for index, ratio in enumerate(latency["ratios"]):
        for side in (ratio["faster"], ratio["slower"]):
            if side not in known:
                yield f"{where}.ratios[{index}]: no such subject: {side}"
    expected = latency["rounds"] * latency["queries"]
    for name, each in latency["samples_ms"].items():
        if name not in known:
            yield f"{where}.samples_ms.{name}: no such subject"
        for lengths, samples in each.items():
            if len(samples) != expected:
                yield (
                    f"{where}.samples_ms.{name}.{lengths}: got {len(samples)} samples, must be "
                    f"{expected}, rounds times queries"
                )
