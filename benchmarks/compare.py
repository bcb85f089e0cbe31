# SPDX-License-Identifier: Apache-2.0
"""Holds one measurement against an older one, and fails where something became worse.

    python -m benchmarks.compare OLD.json NEW.json --threshold 5

Takes what `python -m benchmarks.run` wrote, or a build's report.json. A time is a regression where
its mean grew by more than the threshold and the 95 % interval of its growth lies above zero; the
interval is over queries and knows nothing of two machines, or of one that was busy: both are told.
Sizes, memory, accuracy and the averages of a phone's profiles have no interval and are judged by
the threshold alone; the median load and first run of a few processes are told and not judged.

Exit code: 0 nothing became worse, 1 something did, 2 the files cannot be compared.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import latency
from benchmarks.measure.files import read_json
from benchmarks.measure.schema import KIND, NATURAL, PADDED, Latency, validate
from benchmarks.measure.typed import mismatches
from benchmarks.page.text_table import table
from converters import terminal

THRESHOLD = 5.0
WORSE, BETTER, SAME, UNCLEAR, NOT_JUDGED = "WORSE", "better", "same", "unclear", "-"

# Figures of which more is better.
SCORES = ("EM %", "F1 %")

# A mean that `benchmark_model` printed, without the samples.
PROFILED = "average ms"

# Medians of a few cold starts, which vary by tens of percent.
NOISY = ("load ms", "first ms")

Place = tuple[str, int | None, str, str]  # figure, threads, file, lengths


@dataclass
class Measured:
    """What a document says, laid out for comparison.

    Attributes:
        times: mean milliseconds of each query over all rounds, in their order.
        figures: single figures.
        queries: what was asked, to tell whether two documents asked the same.
        cpu: of the machine.
        cautions: why not to trust it.
    """

    times: dict[Place, list[float]] = field(default_factory=dict)
    figures: dict[Place, float] = field(default_factory=dict)
    queries: Any = None
    cpu: str | None = None
    cautions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Change:
    """A figure in both documents; `low` and `high` bound the growth, percent, None without one."""

    place: Place
    old: float
    new: float
    percent: float
    low: float | None
    high: float | None
    verdict: str


def read(path: Path) -> Measured:
    """Read a benchmark's JSON, or a build's report.json.

    Raises:
        ValueError: it is neither, or damaged.
    """
    document = read_json(path)
    found = Measured()
    try:
        if isinstance(document, dict) and document.get("kind") == KIND:
            validate(document)
            _take_benchmark(document, found)
        else:
            _take_report(document, found)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is no benchmark and no report.json with one ({type(error).__name__}: {error}):"
            " give what python -m benchmarks.run or python -m pipeline.build wrote"
        ) from error
    return found


def _take_benchmark(document: Mapping[str, Any], found: Measured) -> None:
    queries = document["queries"]
    found.queries = [queries["source"], queries["sha256"], queries["tokens"]]
    found.cpu = document["machine"]["cpu"]
    if document["device"]:
        found.cpu = f"{document['device']['model']} ({found.cpu})"
    found.cautions += document["warnings"]
    for run in document["runs"]:
        if run["too_short"]:
            found.cautions.append(f"NOT VALID with {run['threads']} threads: {run['too_short']}")
        _take_latency(run["latency"], found)
        for name, one in run["memory"].items():
            _take_start(one, run["threads"], name, found)
        for name, one in run["weight_cache"].items():
            if one:
                _take_start(one, run["threads"], f"{name}, weight cache", found)
    for profile in document["profiles"]:
        if profile["average_ms"] is not None:
            lengths = f"{profile['delegate']} {profile['length']}"
            place = (PROFILED, int(profile["threads"]), profile["file"], lengths)
            found.figures[place] = float(profile["average_ms"])
    for file in document["files"]:
        _take_file(file, found)
        for part, size in (file["parts"] or {}).items():
            found.figures[f"bytes, {part}", None, file["name"], ""] = float(size)


def _take_report(document: Any, found: Measured) -> None:
    for wrong in mismatches(document["latency"], Latency, "latency"):
        raise ValueError(wrong)  # the first says enough: this schema is not the whole report's
    found.queries = [document["data"]["eval"]["sha256"], document["latency"]["mean_tokens"]]
    found.cpu = document["machine"]["cpu"]
    if document["latency"]["busy"]:
        found.cautions.append(document["latency"]["busy"])
    _take_latency(document["latency"], found)
    for file in document["files"]:
        _take_file(file, found)


def _take_latency(measured: Mapping[str, Any], found: Measured) -> None:
    threads = int(measured["threads"])
    for name, each in measured["samples_ms"].items():
        for lengths in (NATURAL, PADDED):
            where = lengths if lengths == NATURAL else f"padded {measured['padded_length']}"
            if each.get(lengths):
                grid = np.asarray(each[lengths], dtype=np.float64).reshape(measured["rounds"], -1)
                # (rounds, queries) -> (queries,)
                found.times["mean ms", threads, name, where] = list(grid.mean(axis=0))
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


def _take_file(file: Mapping[str, Any], found: Measured) -> None:
    found.figures["bytes", None, file["name"], ""] = float(file["bytes"])
    for figure, key in zip(SCORES, ("exact_match", "f1"), strict=True):
        if file[key] is not None:
            found.figures[figure, None, file["name"], ""] = float(file[key])


def compare(old: Measured, new: Measured, threshold: float) -> list[Change]:
    """Every figure that both have; times first.

    Args:
        old: what was.
        new: what is.
        threshold: percent of growth that is let pass.

    Raises:
        ValueError: they have no time in common.
    """
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
            changes.append(_single(place, was, new.figures[place], threshold))
    return changes


def _single(place: Place, was: float, now: float, threshold: float) -> Change:
    """A figure without an interval; from nothing, anything is endless growth."""
    percent = 100 * (now / was - 1) if was else (0.0 if now == was else float("inf"))
    worse = -percent if place[0] in SCORES else percent
    verdict = NOT_JUDGED if place[0] in NOISY else _verdict(worse, threshold)
    return Change(place, was, now, percent, None, None, verdict)


def _verdict(growth: float, threshold: float) -> str:
    return WORSE if growth > threshold else BETTER if growth < -threshold else SAME


def cautions(old: Measured, new: Measured) -> Iterator[str]:
    """What stands between the two documents and a fair comparison."""
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
                f"{change.percent:+.1f}",
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
    """The command; see the module for its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("old", type=Path, metavar="OLD", help="what was measured before")
    parser.add_argument("new", type=Path, metavar="NEW", help="what is held against it")
    parser.add_argument(
        "--threshold", type=float, default=THRESHOLD, help="percent that are let pass (default: 5)"
    )
    given = parser.parse_args(arguments)
    if not 0 <= given.threshold < float("inf"):
        parser.error(f"--threshold {given.threshold}: 0 or more is needed")
    old, new = read(given.old), read(given.new)
    changes = compare(old, new, given.threshold)
    for line in cautions(old, new):
        print(f"caution: {line}")
    print(show(changes))
    worse = sum(change.verdict == WORSE for change in changes)
    marked = " (NOT VALID)" if any("NOT VALID" in line for line in cautions(old, new)) else ""
    print(f"\n{worse or 'nothing'} became worse by more than {given.threshold:g} %{marked}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
