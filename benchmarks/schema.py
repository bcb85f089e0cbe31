# SPDX-License-Identifier: Apache-2.0
"""What a benchmark's JSON holds. `python -m benchmarks.run` writes it, `compare` reads it.

Every key is there; what was not measured is null. The unit is in the name; samples are milliseconds
in the order of the queries, round after round.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypedDict

KIND: Final = "benchmark"
VERSION: Final = 1

Lengths = Literal["natural", "padded"]
NATURAL: Final = "natural"
PADDED: Final = "padded"


class File(TypedDict):
    """What was measured: a file or a model folder.

    `name` is its last part, or more of its path where that is not unique; `path` ends in at most
    two parts of it, so that no report tells whose machine it was. `parts` are bytes by
    `benchmarks.size.PARTS`; accuracy is percent over the questions asked.
    """

    name: str
    path: str
    bytes: int
    sha256: str | None
    parts: dict[str, int] | None
    exact_match: float | None
    f1: float | None


class Queries(TypedDict):
    """What was asked: `source` is "squad" or "given" (lengths of random tokens) or a question set.

    `tokens` has the number of each query of a round, all its windows together.
    """

    source: str
    sha256: str | None
    asked: int
    available: int | None
    tokens: list[int]


class Around(TypedDict):
    """The work around the model for question data: summaries, and samples in milliseconds.

    `share_percent` is tokenizing and decoding within the whole, means.
    """

    tokenize: dict[str, float]
    decode: dict[str, float]
    share_percent: float
    samples_ms: dict[str, list[float]]


class Memory(TypedDict):
    """One cold start: the fields of `benchmarks.memory.Probe`, medians of several."""

    load_ms: float
    first_ms: float
    peak_rss_bytes: int
    empty_rss_bytes: int
    private_bytes: int | None
    file_backed_bytes: int | None
    empty_private_bytes: int | None
    empty_file_backed_bytes: int | None


class Run(TypedDict):
    """All files with one number of threads.

    `too_short` says why the figures are not valid ones, null where they are. `latency` is what a
    build's report.json holds under that name: `Latency` of `pipeline/report_schema.py`. `around` is
    empty without question data. `memory` and `weight_cache` have one entry a file; the second is
    null but for .tflite files that were started with XNNPACK's weight cache as well.
    """

    threads: int
    seconds: float
    too_short: str | None
    latency: dict[str, Any]
    around: dict[str, dict[Lengths, Around]]
    memory: dict[str, Memory]
    weight_cache: dict[str, Memory | None]


class Benchmark(TypedDict):
    """The whole document; `valid` says whether every run's figures are."""

    kind: Literal["benchmark"]
    schema_version: Literal[1]
    created: str
    command: str
    seed: int
    valid: bool
    warnings: list[str]
    machine: dict[str, Any]
    load_average_after: list[float]
    other_work_cores: float | None
    versions: dict[str, str | None]
    queries: Queries
    files: list[File]
    runs: list[Run]
