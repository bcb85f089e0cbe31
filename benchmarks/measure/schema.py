# SPDX-License-Identifier: Apache-2.0
"""The JSON that `benchmarks.run`, `benchmarks.android` and the Android app write.

The types are the schema: `validate` checks a document against them, and docs/report.md and
docs/schema/benchmark.json are generated from them. Every key is required; a figure that was not
measured is null. Samples are milliseconds in the order of the queries, one round after another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from pydantic import with_config
from typing_extensions import TypedDict

from benchmarks.measure import upgrade
from benchmarks.measure.checked import (
    STRICT,
    Amount,
    Bytes,
    Count,
    Milliseconds,
    Percent,
    Seconds,
    check,
)

# Every type of a document can be imported from here.
from benchmarks.measure.device_schema import Device as Device
from benchmarks.measure.device_schema import Machine as Machine
from benchmarks.measure.device_schema import Operator as Operator
from benchmarks.measure.device_schema import Profile as Profile
from benchmarks.measure.device_schema import State as State
from benchmarks.measure.latency_schema import NATURAL as NATURAL
from benchmarks.measure.latency_schema import PADDED as PADDED
from benchmarks.measure.latency_schema import Latency as Latency
from benchmarks.measure.latency_schema import Lengths as Lengths
from benchmarks.measure.latency_schema import LogitError as LogitError
from benchmarks.measure.latency_schema import Ratio as Ratio
from benchmarks.measure.latency_schema import Subject as Subject
from benchmarks.measure.latency_schema import Summary as Summary
from benchmarks.measure.latency_schema import latency_contradictions as latency_contradictions

KIND: Final = "benchmark"
VERSION: Final = 3

# The lowest and the highest score by its unit: a correlation, with or without one, may be negative.
SCORE_RANGES: Final[dict[str, tuple[float, float]]] = {"%": (-100.0, 100.0), "": (-1.0, 1.0)}

# A score by the name of its metric; null where nothing was scored.
ScoresByMetric = dict[str, float] | None


class Metric(TypedDict):
    """A measure of how good predictions are. More is better.

    Attributes:
        name: The key of its value in `scores`.
        label: The name that tables and plots show.
        unit: "%" for a percentage, which only a correlation can have below 0; an empty string for a
            number from -1 to 1.
    """

    name: str
    label: str
    unit: Literal["%", ""]


class File(TypedDict):
    """A file or model folder that was measured.

    Attributes:
        name: The last part of the path, or as many parts as distinguish it from the other files.
        path: At most the last two parts of the path, so that a document does not reveal whose
            machine it was.
        bytes: The size of the file, or of all files in the folder.
        sha256: The checksum of the file, hexadecimal; null for a folder.
        parts: The bytes by their purpose: `embeddings`, `attention`, `feed_forward`, `head` and
            `rest`. They add up to `bytes`. Null where the weights cannot be listed.
        scores: The scores of the file's own predictions, by the names in `metrics`; null where the
            file was not scored.
    """

    name: str
    path: str
    bytes: Bytes
    sha256: str | None
    parts: dict[str, Bytes] | None
    scores: ScoresByMetric


class Queries(TypedDict):
    """The queries that every file ran.

    Attributes:
        source: "squad" or "given" for random tokens of such lengths, or the name of a data set.
        sha256: The checksum of the data set; null without one.
        count: The number of queries of one round.
        available: The number of examples in the whole data set; null without one.
        tokens: The number of tokens of each query of one round, all its windows together.
    """

    source: str
    sha256: str | None
    count: Count
    available: Count | None
    tokens: list[Count]


class Overhead(TypedDict):
    """The time that the code around the model takes. Only labeled data has it.

    Attributes:
        tokenize: The time from text to token ids, all windows together.
        decode: The time from logits to a prediction.
        share_percent: The share of tokenizing and decoding in the mean time of the whole.
        samples_ms: The raw times of `tokenize` and `decode`.
    """

    tokenize: Summary
    decode: Summary
    share_percent: Percent
    samples_ms: dict[str, list[Milliseconds]]


class Memory(TypedDict):
    """The medians of cold starts in processes of their own. Null is what the system hides.

    Attributes:
        load_ms: The time to open the file.
        first_ms: The time of the first inference.
        peak_rss_bytes: The peak resident memory.
        empty_rss_bytes: The resident memory before loading, with the runtime imported.
        private_bytes: The process's own pages at the end.
        file_backed_bytes: The pages of the model, a weight cache or libraries at the end. The
            system may drop them.
        empty_private_bytes: The process's own pages before loading.
        empty_file_backed_bytes: The file-backed pages before loading.
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
    """The figures of all files with one number of threads.

    Attributes:
        threads: The number of threads of the runtime.
        seconds: The time that the timed calls took together.
        too_short: The reason why the figures are not valid; null where they are valid.
        latency: The times, and their ratios to those of the first file.
        overhead: The time around the model by file and lengths; empty without labeled data.
        memory: The cold starts by file.
        weight_cache: The cold starts with XNNPACK's weight cache by file; null where that was not
            measured.
    """

    threads: Count
    seconds: Seconds
    too_short: str | None
    latency: Latency
    overhead: dict[str, dict[Lengths, Overhead]]
    memory: dict[str, Memory]
    weight_cache: dict[str, Memory | None]


@with_config(STRICT)
class Benchmark(TypedDict):
    """The whole document.

    Attributes:
        kind: The kind of the document, which distinguishes it from a build's report.
        schema_version: The version of this schema.
        created: The start of the measurement, in UTC and ISO 8601.
        command: The command that measured, without the folders of the machine.
        seed: The seed of every random number generator.
        valid: Whether the figures of every run are valid.
        warnings: The reasons to read the figures with caution.
        machine: The machine before the first run; a phone is a machine, too.
        device: The phone; null where there was none.
        load_average_after: The load averages over one, five and fifteen minutes after the last run.
        other_work_cores: The number of cores that other processes kept busy during the runs.
        versions: The versions of packages by name; null where a package is not installed.
        queries: The queries that every file ran.
        metrics: The metrics of all scores, the most important one first; empty where nothing was
            scored.
        files: The files. The ratios compare the others with the first one.
        runs: One entry for each number of threads; on a phone, one for each file and number of
            threads.
        profiles: The profiles that `benchmarks.android` took; empty elsewhere.
    """

    kind: Literal["benchmark"]
    schema_version: Literal[3]
    created: str
    command: str
    seed: int
    valid: bool
    warnings: list[str]
    machine: Machine
    device: Device | None
    load_average_after: list[Amount] | None
    other_work_cores: Amount | None
    versions: dict[str, str | None]
    queries: Queries
    metrics: list[Metric]
    files: list[File]
    runs: list[Run]
    profiles: list[Profile]


def read(document: Any) -> Benchmark:
    """Bring a document that was stored or received to the current version, and check it.

    The app does not compute bootstrap intervals: they are computed from its samples here.

    Args:
        document: what `json.load` returns; it is not changed.

    Returns:
        The document as this version of the schema describes it.

    Raises:
        ValueError: one line: its version is unknown, or which fields are wrong.
    """
    current: Benchmark = upgrade.benchmark(document, VERSION)
    validate(current)
    return current


def validate(document: Any) -> None:
    """Check a document against `Benchmark` and against itself.

    Raises:
        ValueError: one line that names every wrong field, what it holds and what is allowed.
    """
    check(document, Benchmark, _contradictions)


def names_differ(entries: Sequence[Any], where: str) -> Iterator[str]:
    """Yield a line where two of the entries have one name."""
    names = [entry["name"] for entry in entries]
    if len(set(names)) < len(names):
        yield f"{where}: names must differ, got {', '.join(names)}"


def score_contradictions(
    metrics: Sequence[Metric], entries: Sequence[Any], where: str
) -> Iterator[str]:
    """Yield a line for each entry whose scores are not those of `metrics`, or out of range.

    Args:
        metrics: of the document.
        entries: files or models, with `scores` each.
        where: the key of the entries.
    """
    for index, entry in enumerate(entries):
        scores, place = entry["scores"], f"{where}[{index}].scores"
        if scores is None:
            continue
        if scores.keys() != {metric["name"] for metric in metrics}:
            names = ", ".join(metric["name"] for metric in metrics) or "none"
            yield f"{place}: got {', '.join(scores)}, must be null or the metrics: {names}"
            continue
        for metric in metrics:
            low, high = SCORE_RANGES[metric["unit"]]
            if not low <= (score := scores[metric["name"]]) <= high:
                yield f"{place}.{metric['name']}: got {score}, must be from {low:g} to {high:g}"


def _contradictions(document: Benchmark) -> Iterator[str]:
    yield from names_differ(document["metrics"], "metrics")
    yield from names_differ(document["files"], "files")
    yield from score_contradictions(document["metrics"], document["files"], "files")
    for index, file in enumerate(document["files"]):
        if file["parts"] is not None and sum(file["parts"].values()) != file["bytes"]:
            yield f"files[{index}].parts: they do not add up to its {file['bytes']:,} bytes"
    files = {file["name"] for file in document["files"]}
    count, tokens = document["queries"]["count"], document["queries"]["tokens"]
    if len(tokens) != count:
        yield f"queries.tokens: got {len(tokens)}, but there are {count} queries"
    for index, run in enumerate(document["runs"]):
        where = f"runs[{index}]"
        if document["valid"] and run["too_short"] is not None:
            yield f"valid: got True, but {where}.too_short says {run['too_short']}"
        yield from latency_contradictions(run["latency"], f"{where}.latency")
        if (queries := run["latency"]["queries"]) != count:
            yield f"{where}.latency.queries: got {queries}, but there are {count} queries"
        named: tuple[tuple[str, Mapping[str, Any]], ...] = (
            ("latency.subjects", run["latency"]["subjects"]),
            ("overhead", run["overhead"]),
            ("memory", run["memory"]),
            ("weight_cache", run["weight_cache"]),
        )
        for place, each in named:
            for name in each.keys() - files:
                yield f"{where}.{place}.{name}: no such file"
    for index, profile in enumerate(document["profiles"]):
        if profile["file"] not in files:
            yield f"profiles[{index}].file: no such file: {profile['file']}"
