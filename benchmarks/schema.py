# SPDX-License-Identifier: Apache-2.0
"""What a benchmark's JSON holds: of `benchmarks.run`, `benchmarks.android` and the Android app.

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


class State(TypedDict):
    """A phone at one moment; null is what it does not tell.

    `thermal_status` is Android's: 0 none, 1 light, 2 moderate, 3 severe, 4 critical, 5 emergency, 6
    shutdown. `clocks_khz` has the current frequency of each core, in their order.
    """

    battery_percent: float | None
    battery_celsius: float | None
    charging: bool | None
    thermal_status: int | None
    clocks_khz: list[int] | None


class Device(TypedDict):
    """The phone that was measured; nothing that tells one phone from another of its model.

    `runtime` is what ran the files, with its version; `app_version` is null where no app did.
    """

    manufacturer: str
    model: str
    soc: str | None
    android: str
    api: int
    abis: list[str]
    runtime: str
    app_version: str | None
    before: State
    after: State


class Operator(TypedDict):
    """One kind of operator in a profile: how often it ran, and its share of the time."""

    name: str
    count: int
    average_ms: float
    percent: float


class Profile(TypedDict):
    """What LiteRT's `benchmark_model` tells of one file at one length; null is what it did not.

    `failed` says in one line why there are no figures; null where there are. `delegate` is "cpu"
    (XNNPACK), "gpu" or "nnapi".
    """

    file: str
    delegate: str
    threads: int
    length: int
    failed: str | None
    runs: int | None
    init_ms: float | None
    first_ms: float | None
    warmup_ms: float | None
    average_ms: float | None
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    peak_memory_bytes: int | None
    operators: list[Operator] | None


class Benchmark(TypedDict):
    """The whole document; `valid` says whether every run's figures are.

    `machine` is what `benchmarks.machine.describe` tells, on a phone too (null what it does not
    tell). `device` is null but for phones, `profiles` empty but for `benchmarks.android`.
    """

    kind: Literal["benchmark"]
    schema_version: Literal[1]
    created: str
    command: str
    seed: int
    valid: bool
    warnings: list[str]
    machine: dict[str, Any]
    device: Device | None
    load_average_after: list[float] | None
    other_work_cores: float | None
    versions: dict[str, str | None]
    queries: Queries
    files: list[File]
    runs: list[Run]
    profiles: list[Profile]
