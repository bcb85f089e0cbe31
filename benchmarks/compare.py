# SPDX-License-Identifier: Apache-2.0
"""Compares two benchmark results, and fails if a figure became worse.

    python -m benchmarks.compare OLD.json NEW.json --threshold 5

Each file is a JSON file of `python -m benchmarks.run` or the report.json of a build. A time is a
regression if its mean grew by more than the threshold and the 95 % confidence interval of the
growth lies above zero. The interval covers the variation between queries only, so the command
warns if the two machines differ or if one of them was busy, and refuses processors with different
instruction sets for 8-bit products unless --across is given. Sizes, memory, scores and the averages
of a phone's profiles have no interval, so the threshold alone decides. The times to load and to run
once are medians of a few processes; the table shows them, but they never count as regressions.

Exit code: 0 no figure became worse, 1 a figure became worse, 2 the files cannot be compared.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import latency, schema
from benchmarks.measure.machine import instructions
from benchmarks.measure.schema import NATURAL, PADDED, Benchmark, Latency, Metric
from benchmarks.measure.session import NOT_VALID
from benchmarks.page.reading import read_json
from benchmarks.page.scores import titled
from benchmarks.page.text_table import table
from converters import terminal
from pipeline.report import schema as report_schema
from pipeline.report.schema import Report

THRESHOLD = 5.0
WORSE, BETTER, SAME, UNCLEAR, NOT_JUDGED = "WORSE", "better", "same", "unclear", "-"

# A mean that `benchmark_model` printed, without the samples.
PROFILED = "average ms"

# Medians of a few cold starts, which vary by tens of percent.
NOISY = ("load ms", "first ms")

# Figures beyond these are of a damaged document, and their sums and ratios would overflow: 1 ns and
# 30,000 years where they are times, a million gigabytes where they are sizes.
SHORTEST_MS, LARGEST = 1e-6, 1e15

Place = tuple[str, int | None, str, str]  # figure, threads, file, lengths


@dataclass
class Measured:
    """The figures of a document, arranged for comparison.

    Attributes:
        times: the mean time of each query over all rounds, in milliseconds, in the queries' order.
        figures: the figures that have no samples.
        metrics: the metrics of the scores; higher scores are better.
        queries: a description of the queries, equal for documents with the same queries.
        cpu: the name of the CPU.
        processor: its class, see `benchmarks.measure.machine.instructions`.
        cautions: the reasons to distrust the figures.
    """

    times: dict[Place, list[float]] = field(default_factory=dict)
    figures: dict[Place, float] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)
    queries: Any = None
    cpu: str | None = None
    processor: str = ""
    cautions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Change:
    """The growth of a figure in percent; `low` and `high` are None without an interval."""

    place: Place
    old: float
    new: float
    percent: float
    low: float | None
    high: float | None
    verdict: str


def read(path: Path) -> Measured:
    """Read the JSON of a benchmark or the report.json of a build, also of an older schema.

    Raises:
        ValueError: the file is neither, or it is damaged, or a figure is too large to compare.
    """
    document = read_json(path)
    found = Measured()
    try:
        if isinstance(document, dict) and document.get("kind") == schema.KIND:
            _take_benchmark(schema.read(document), found)
        else:
            _take_report(report_schema.read(document), found)
    except ValueError as error:
        raise ValueError(
            f"{path} is no benchmark and no report.json with latency: {error}: give what "
            "python -m benchmarks.run or python -m pipeline.build wrote"
        ) from error
    for (figure, _, file, _), value in _every(found):
        shortest = SHORTEST_MS if figure == "mean ms" else 0.0
        if abs(value) > LARGEST or 0 < value < shortest:
            raise ValueError(
                f"{path} says that {figure} of {file} is {value:g}, and figures up to {LARGEST:g}, "
                f"times from {SHORTEST_MS:g} ms can be compared: measure again"
            )
    return found


def _every(found: Measured) -> Iterator[tuple[Place, float]]:
    """All figures of a document, those of single queries too."""
    for place, times in found.times.items():
        yield from ((place, time) for time in times)
    yield from found.figures.items()


def _take_benchmark(document: Benchmark, found: Measured) -> None:
    queries = document["queries"]
    found.queries = [queries["source"], queries["sha256"], queries["tokens"]]
    found.cpu = document["machine"]["cpu"]
    found.processor = instructions(document["machine"])
    if document["device"]:
        found.cpu = f"{document['device']['model']} ({found.cpu})"
    found.cautions += document["warnings"]
    for run in document["runs"]:
        if run["too_short"]:
            found.cautions.append(f"NOT VALID with {run['threads']} threads: {run['too_short']}")
        _take_latency(run["latency"], found)
        for name, one in run["memory"].items():
            _take_start(one, run["threads"], name, found)
        for name, cached in run["weight_cache"].items():
            if cached:
                _take_start(cached, run["threads"], f"{name}, weight cache", found)
    for profile in document["profiles"]:
        if profile["average_ms"] is not None:
            lengths = f"{profile['delegate']} {profile['length']}"
            place = (PROFILED, profile["threads"], profile["file"], lengths)
            found.figures[place] = float(profile["average_ms"])
    _take_files(document["metrics"], document["files"], found)
    for file in document["files"]:
        for part, size in (file["parts"] or {}).items():
            found.figures[f"bytes, {part}", None, file["name"], ""] = float(size)


def _take_report(document: Report, found: Measured) -> None:
    latency = document["latency"]
    if latency is None:
        raise ValueError("its latency is null")
    found.queries = [document["data"]["eval"]["sha256"], latency["mean_tokens"]]
    found.cpu = document["machine"].get("cpu")
    found.processor = instructions(document["machine"])
    if latency["busy"]:
        found.cautions.append(latency["busy"])
    if latency["method"].startswith(NOT_VALID):
        found.cautions.append(latency["method"].partition(":")[0])
    _take_latency(latency, found)
    _take_files(document["metrics"], document["files"], found)


def _take_latency(measured: Latency, found: Measured) -> None:
    threads = measured["threads"]
    for name, each in measured["samples_ms"].items():
        for lengths in (NATURAL, PADDED):
            where = lengths if lengths == NATURAL else f"padded {measured['padded_length']}"
            if each.get(lengths):
                grid = np.asarray(each[lengths], dtype=np.float64).reshape(measured["rounds"], -1)
                # (rounds, queries) -> (queries,); divided first, for a sum could overflow
                means = (grid / len(grid)).sum(axis=0)
                found.times["mean ms", threads, name, where] = list(means)
    for name, subject in measured["subjects"].items():
        _take_start(subject, threads, name, found)


def _take_start(start: Mapping[str, Any], threads: int, name: str, found: Measured) -> None:
    """A cold start: times, and memory above the empty process."""
    for figure, key in (("load ms", "load_ms"), ("first ms", "first_ms")):
        if start[key] is not None:
            found.figures[figure, threads, name, ""] = float(start[key])
    for figure, key, without in (
        ("peak bytes", "peak_rss_bytes", "empty_rss_bytes"),
        ("private bytes", "private_bytes", "empty_private_bytes"),
    ):
        if start.get(key) is not None and start.get(without) is not None:
            found.figures[figure, threads, name, ""] = float(start[key] - start[without])


def _take_files(metrics: list[Metric], files: Sequence[Any], found: Measured) -> None:
    """Sizes, and scores by the headings of their metrics."""
    found.metrics = metrics
    for file in files:
        found.figures["bytes", None, file["name"], ""] = float(file["bytes"])
        for metric in metrics if file["scores"] else ():
            place = (titled(metric), None, file["name"], "")
            found.figures[place] = float(file["scores"][metric["name"]])


def compare(old: Measured, new: Measured, threshold: float) -> list[Change]:
    """Every figure that both have; times first.

    Args:
        old: what was.
        new: what is.
        threshold: percent of growth that is let pass.

    Raises:
        ValueError: they have no time in common, or scores by different metrics.
    """
    if old.metrics and new.metrics and old.metrics != new.metrics:
        names = [", ".join(map(titled, one.metrics)) for one in (old, new)]
        raise ValueError(
            f"the scores are of different metrics, {names[0]} before and {names[1]} now: "
            "compare two documents of the same task"
        )
    scores = {titled(metric) for metric in new.metrics}
    common = [place for place in old.times if place in new.times]
    profiled = any(place[0] == PROFILED for place in old.figures.keys() & new.figures.keys())
    if not common and not profiled:
        raise ValueError("no file was timed in both with the same threads and lengths")
    changes = []
    for place in common:
        before, now = old.times[place], new.times[place]
        paired = old.queries == new.queries and len(before) == len(now)
        ratio, *bounds = latency.ratio(now, before, 0, paired=paired)
        percent, low, high = (100 * (value - 1) for value in (ratio, *bounds))
        verdict = _verdict(percent, threshold)
        if verdict != SAME and low <= 0 <= high:
            verdict = UNCLEAR
        changes.append(
            Change(place, float(np.mean(before)), float(np.mean(now)), percent, low, high, verdict)
        )
    for place, was in old.figures.items():
        if place in new.figures:
            changes.append(_single(place, was, new.figures[place], threshold, place[0] in scores))
    return changes


def _single(place: Place, was: float, now: float, threshold: float, more_is_better: bool) -> Change:
    """A figure without a confidence interval; a change from zero is infinite."""
    percent = 100 * (now - was) / abs(was) if was else math.copysign(math.inf, now) if now else 0.0
    worse = -percent if more_is_better else percent
    verdict = NOT_JUDGED if place[0] in NOISY else _verdict(worse, threshold)
    return Change(place, was, now, percent, None, None, verdict)


def _verdict(growth: float, threshold: float) -> str:
    return WORSE if growth > threshold else BETTER if growth < -threshold else SAME


def cautions(old: Measured, new: Measured) -> Iterator[str]:
    """The reasons why the comparison of the two documents may be unfair."""
    for name, one in (("OLD", old), ("NEW", new)):
        yield from (f"{name}: {line}" for line in one.cautions)
    if old.cpu != new.cpu:
        yield f"other machines: {old.cpu} before, {new.cpu} now; times say little"
    if old.queries != new.queries:
        yield "other queries: times may differ for that alone, and intervals are not paired"
    gone = {place[2] for place in old.times} - {place[2] for place in new.times}
    if gone:
        yield f"not in NEW: {', '.join(sorted(gone))}"


def show(changes: Sequence[Change]) -> str:
    """The changes as a table."""
    return table(
        ["figure", "threads", "file", "lengths", "old", "new", "change %", "95%", "verdict"],
        [
            [
                change.place[0],
                str(change.place[1] or ""),
                *change.place[2:],
                _plain(change.old),
                _plain(change.new),
                # Figures below a nanosecond or a byte are shown as 0, too.
                f"{change.percent:+.1f}" if math.isfinite(change.percent) else "from 0",
                "" if change.low is None else f"{change.low:+.1f} to {change.high:+.1f}",
                change.verdict,
            ]
            for change in changes
        ],
    )


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() and abs(value) >= 1000 else f"{value:,.2f}"


@terminal.command(also={ValueError: 2})
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the module documents the exit code that it returns."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("old", type=Path, metavar="OLD", help="The older JSON file, the baseline.")
    parser.add_argument("new", type=Path, metavar="NEW", help="The newer JSON file.")
    parser.add_argument(
        "--threshold",
        type=float,
        default=THRESHOLD,
        metavar="PERCENT",
        help="Accept changes for the worse of up to this many percent (default: 5).",
    )
    parser.add_argument(
        "--across",
        action="store_true",
        help="Also compare times of processors with different instruction sets.",
    )
    given = parser.parse_args(arguments)
    if not 0 <= given.threshold < float("inf"):
        parser.error(f"--threshold {given.threshold}: 0 or more is needed")
    old, new = read(given.old), read(given.new)
    differ = old.processor and new.processor and old.processor != new.processor
    if differ and not given.across:
        raise ValueError(
            f"OLD is of {old.processor}, NEW of {new.processor}: times of other instruction sets "
            "say nothing of a change; measure on one processor, or give --across"
        )
    changes = compare(old, new, given.threshold)
    for line in cautions(old, new):
        terminal.say(f"caution: {line}")
    terminal.say(show(changes))
    worse = sum(change.verdict == WORSE for change in changes)
    marked = " (NOT VALID)" if any("NOT VALID" in line for line in cautions(old, new)) else ""
    print(f"\n{worse or 'nothing'} became worse by more than {given.threshold:g} %{marked}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
