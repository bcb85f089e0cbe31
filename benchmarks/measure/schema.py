# SPDX-License-Identifier: Apache-2.0
"""What a benchmark's JSON holds: of `benchmarks.run`, `benchmarks.android` and the Android app.

The types are the schema, `validate` checks a document against them, and docs/report.md is written
from them. Every key is there; what was not measured is null. Samples are milliseconds in the order
of the queries, round after round.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, TypedDict

# All types of a document are found here.
from benchmarks.measure.device_schema import Device as Device
from benchmarks.measure.device_schema import Machine as Machine
from benchmarks.measure.device_schema import Operator as Operator
from benchmarks.measure.device_schema import Profile as Profile
from benchmarks.measure.device_schema import State as State
from benchmarks.measure.typed import Amount, Bytes, Count, Milliseconds, Percent, Seconds, check

KIND: Final = "benchmark"
VERSION: Final = 1

Lengths = Literal["natural", "padded"]
NATURAL: Final = "natural"
PADDED: Final = "padded"


class File(TypedDict):
    """What was measured: a file or a model folder.

    Attributes:
        name: the last part of its path, or more of it where that is not unique.
        path: ends in at most two parts of it, so that no report tells whose machine it was.
        bytes: of the file, or of all files in the folder.
        sha256: hexadecimal; null for a folder.
        parts: bytes by what they are for, `embeddings`, `attention`, `feed_forward`, `head` and
            `rest`, `bytes` in all; null where the weights cannot be listed.
        exact_match: of its own answers to the questions asked.
        f1: of its own answers to the questions asked.
    """

    name: str
    path: str
    bytes: Bytes
    sha256: str | None
    parts: dict[str, Bytes] | None
    exact_match: Percent | None
    f1: Percent | None


class Queries(TypedDict):
    """What was asked.

    Attributes:
        source: "squad" or "given" (lengths of random tokens), or the name of a question set.
        sha256: of the question set; null without one.
        asked: queries of a round.
        available: questions of the whole set; null without one.
        tokens: of each query of a round, all its windows together.
    """

    source: str
    sha256: str | None
    asked: Count
    available: Count | None
    tokens: list[Count]


class Summary(TypedDict):
    """The time of a query; the bounds are the bootstrap interval over queries, confidence 0.95.

    Attributes:
        count: samples.
        mean: arithmetic mean.
        mean_low: its lower bound.
        mean_high: its upper bound.
        p50: median.
        p50_low: its lower bound.
        p50_high: its upper bound.
        p90: 90th percentile.
        p99: 99th percentile.
        min: the fastest.
        max: the slowest.
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


class Subject(TypedDict):
    """What was timed.

    Attributes:
        path: at most its last two parts.
        natural: queries at their own lengths; null where not timed.
        padded: queries padded to `padded_length`; null where not timed.
        load_ms: opening the file in a process of its own.
        first_ms: the first inference after that.
        peak_rss_bytes: the most that process ever held resident.
        empty_rss_bytes: what it held before loading, with the runtime imported.
    """

    path: str
    natural: Summary | None
    padded: Summary | None
    load_ms: Milliseconds | None
    first_ms: Milliseconds | None
    peak_rss_bytes: Bytes | None
    empty_rss_bytes: Bytes | None


class Ratio(TypedDict):
    """How many times faster one subject is than another.

    Attributes:
        faster: the subject whose mean time divides.
        slower: the subject whose mean time is divided.
        faster_lengths: of the queries of `faster`.
        slower_lengths: of the queries of `slower`.
        ratio: mean time of `slower` over mean time of `faster`.
        low: lower bound of its bootstrap interval, paired by query, confidence 0.95.
        high: upper bound.
    """

    faster: str
    slower: str
    faster_lengths: Lengths
    slower_lengths: Lengths
    ratio: Amount
    low: Amount
    high: Amount


class Latency(TypedDict):
    """All subjects on the same queries, in turn.

    Attributes:
        method: how it was measured, in words.
        threads: of the runtime.
        queries: of a round.
        rounds: how often all queries were asked.
        padded_length: tokens of padded inputs.
        mean_tokens: of a query at its own length.
        busy: why to distrust the times; null where the rounds agree.
        subjects: by name.
        ratios: a report opens with the first one.
        samples_ms: raw times by subject and lengths, `rounds` times `queries` each.
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


class Around(TypedDict):
    """The work around the model, for question data.

    Attributes:
        tokenize: text to token ids, all windows.
        decode: logits to an answer.
        share_percent: tokenizing and decoding within the whole, means.
        samples_ms: raw times of `tokenize` and `decode`.
    """

    tokenize: Summary
    decode: Summary
    share_percent: Percent
    samples_ms: dict[str, list[Milliseconds]]


class Memory(TypedDict):
    """Cold starts in processes of their own, medians; null is what the system does not tell.

    Attributes:
        load_ms: opening the file.
        first_ms: the first inference.
        peak_rss_bytes: the most it ever held resident.
        empty_rss_bytes: resident before loading, with the runtime imported.
        private_bytes: its own pages, in the end.
        file_backed_bytes: pages of the model, a weight cache or libraries, which the system may
            drop, in the end.
        empty_private_bytes: its own pages before loading.
        empty_file_backed_bytes: file-backed pages before loading.
    """

    load_ms: Milliseconds
    first_ms: Milliseconds
    peak_rss_bytes: Bytes
    empty_rss_bytes: Bytes
    private_bytes: Bytes | None
    file_backed_bytes: Bytes | None
    empty_private_bytes: Bytes | None
    empty_file_backed_bytes: Bytes | None


class Run(TypedDict):
    """All files with one number of threads.

    Attributes:
        threads: of the runtime.
        seconds: that the timed calls took together.
        too_short: why the figures are not valid ones; null where they are.
        latency: times, and ratios against the first file.
        around: by file and lengths; empty without question data.
        memory: by file.
        weight_cache: by file, started with XNNPACK's weight cache; null where that was not done.
    """

    threads: Count
    seconds: Seconds
    too_short: str | None
    latency: Latency
    around: dict[str, dict[Lengths, Around]]
    memory: dict[str, Memory]
    weight_cache: dict[str, Memory | None]


class Benchmark(TypedDict):
    """The whole document.

    Attributes:
        kind: tells it from a build's report.
        schema_version: of this description.
        created: start of the measurement, UTC, ISO 8601.
        command: that measured, without the machine's folders.
        seed: of everything random.
        valid: whether every run's figures are.
        warnings: why to read the figures with caution.
        machine: before the first run; a phone is one too.
        device: the phone; null elsewhere.
        load_average_after: over one, five and fifteen minutes, after the last run.
        other_work_cores: cores that other processes kept busy meanwhile.
        versions: of packages by name; null where not installed.
        queries: what was asked.
        files: ratios hold the others against the first.
        runs: one a number of threads; on a phone, one a file and number of threads.
        profiles: of `benchmarks.android`; else empty.
    """

    kind: Literal["benchmark"]
    schema_version: Literal[1]
    created: str
    command: str
    seed: int
    valid: bool
    warnings: list[str]
    machine: Annotated[dict[str, Any], Machine]
    device: Device | None
    load_average_after: list[Amount] | None
    other_work_cores: Amount | None
    versions: dict[str, str | None]
    queries: Queries
    files: list[File]
    runs: list[Run]
    profiles: list[Profile]


def validate(document: Any) -> None:
    """Check a document against `Benchmark` and against itself.

    Raises:
        ValueError: on one line, every field that is wrong, what it holds and what is allowed.
    """
    check(document, Benchmark, _contradictions)


def names_differ(entries: list[Any], where: str) -> Iterator[str]:
    """Yield a line where two of the entries have one name."""
    names = [entry["name"] for entry in entries]
    if len(set(names)) < len(names):
        yield f"{where}: names must differ, got {', '.join(names)}"


def latency_contradictions(latency: Latency, where: str) -> Iterator[str]:
    """Yield a line for each field of `latency` that says something else than those beside it."""
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


def _contradictions(document: Benchmark) -> Iterator[str]:
    yield from names_differ(document["files"], "files")
    for index, file in enumerate(document["files"]):
        if file["parts"] is not None and sum(file["parts"].values()) != file["bytes"]:
            yield f"files[{index}].parts: they do not add up to its {file['bytes']:,} bytes"
    files = {file["name"] for file in document["files"]}
    asked, tokens = document["queries"]["asked"], document["queries"]["tokens"]
    if len(tokens) != asked:
        yield f"queries.tokens: got {len(tokens)}, but {asked} queries were asked"
    for index, run in enumerate(document["runs"]):
        where = f"runs[{index}]"
        if document["valid"] and run["too_short"] is not None:
            yield f"valid: got True, but {where}.too_short says {run['too_short']}"
        yield from latency_contradictions(run["latency"], f"{where}.latency")
        if (queries := run["latency"]["queries"]) != asked:
            yield f"{where}.latency.queries: got {queries}, but {asked} were asked"
        named: tuple[tuple[str, Mapping[str, Any]], ...] = (
            ("latency.subjects", run["latency"]["subjects"]),
            ("around", run["around"]),
            ("memory", run["memory"]),
            ("weight_cache", run["weight_cache"]),
        )
        for place, each in named:
            for name in each.keys() - files:
                yield f"{where}.{place}.{name}: no such file"
    for index, profile in enumerate(document["profiles"]):
        if profile["file"] not in files:
            yield f"profiles[{index}].file: no such file: {profile['file']}"
