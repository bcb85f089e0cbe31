# SPDX-License-Identifier: Apache-2.0
"""A benchmark as text for a terminal; computes nothing but differences of its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from benchmarks.measure.machine import instructions
from benchmarks.measure.schema import Benchmark, File, Memory, Metric, Profile, Ratio, Run
from benchmarks.measure.session import KINDS, WAYS
from benchmarks.measure.size import PARTS
from benchmarks.page.errors import MEANING, error_cell
from benchmarks.page.scores import plain, score_of, titled
from benchmarks.page.text_table import table

DASH = "-"
TIMES: tuple[Literal["p50", "p90", "p99", "mean"], ...] = ("p50", "p90", "p99", "mean")


def show(benchmark: Benchmark) -> str:
    """All tables, each run's marked where its figures are not valid."""
    blocks = [_asked(benchmark), *(f"caution: {line}" for line in benchmark["warnings"])]
    for run in benchmark["runs"]:
        blocks += _run(run)
    blocks.append(_files(benchmark["files"], benchmark["metrics"]))
    if benchmark["profiles"]:
        blocks.append(_profiles(benchmark["profiles"]))
    return "\n\n".join(blocks)


def _asked(benchmark: Benchmark) -> str:
    queries = benchmark["queries"]
    tokens = queries["tokens"]
    what = f"{len(tokens):,} queries a round ({queries['source']}"
    if queries["available"] is not None:
        what += f", of {queries['available']:,}"
    what += f"), {sum(tokens) / len(tokens):.1f} tokens on average, seed {benchmark['seed']}"
    processor = instructions(benchmark["machine"])
    return f"{what}\nprocessor: {processor}" if processor else what


def _run(run: Run) -> Iterator[str]:
    latency = run["latency"]
    mark = " - NOT VALID" if run["too_short"] else ""
    plural = "" if run["threads"] == 1 else "s"
    title = (
        f"{run['threads']} thread{plural}, {latency['rounds']} rounds, {run['seconds']:.1f} s{mark}"
    )
    yield f"{title}\n{'=' * len(title)}"
    if run["too_short"]:
        yield f"not valid: {run['too_short']}"
    yield f"Milliseconds a query{mark}\n" + table(
        ["file", "lengths", *TIMES, "95% of mean", "logit error"],
        [
            [
                name,
                lengths if lengths == "natural" else f"padded to {latency['padded_length']}",
                *(f"{times[figure]:.2f}" for figure in TIMES),
                _interval(times["mean_low"], times["mean_high"]),
                error_cell(subject["logit_error"]),
            ]
            for lengths in KINDS
            for name, subject in latency["subjects"].items()
            if (times := subject[lengths])
        ],
    )
    if any(subject["logit_error"] for subject in latency["subjects"].values()):
        yield f"{MEANING}."
    yield f"Ratios of means, times faster with the 95% interval{mark}\n" + _ratios(
        latency["ratios"], latency["padded_length"]
    )
    if run["overhead"]:
        yield f"Overhead around the model, milliseconds{mark}\n" + table(
            ["file", "lengths", "tokenize", "decode", "% of all"],
            [
                [
                    name,
                    lengths,
                    f"{one['tokenize']['mean']:.2f}",
                    f"{one['decode']['mean']:.2f}",
                    f"{one['share_percent']:.1f}",
                ]
                for name, each in run["overhead"].items()
                for lengths, one in each.items()
            ],
        )
    starts = list(run["memory"].items())
    starts += [(f"{name}, weight cache", one) for name, one in run["weight_cache"].items() if one]
    yield "Cold start: milliseconds; MB above the empty process, and that process\n" + table(
        ["file", "load", "first", "peak", "private", "file-backed", "empty"],
        [[name, *_start(one)] for name, one in starts],
    )


def _ratios(ratios: Sequence[Ratio], padded: int) -> str:
    """A row for each pair of files, a column for each way of comparing them."""
    rows: dict[tuple[str, str], dict[tuple[str, str], str]] = {}
    for one in ratios:
        slower = one["slower"] if one["slower"] != one["faster"] else "itself"
        cell = f"{one['ratio']:.2f} ({_interval(one['low'], one['high'])})"
        ways = rows.setdefault((one["faster"], slower), {})
        ways[one["faster_lengths"], one["slower_lengths"]] = cell
    return table(
        ["file", "against", f"that padded to {padded}", "both natural", "both padded"],
        [[*pair, *(ways.get(way, DASH) for way in WAYS)] for pair, ways in rows.items()],
    )


def _start(one: Memory) -> list[str]:
    return [
        f"{one['load_ms']:.1f}",
        f"{one['first_ms']:.1f}",
        _megabytes(one["peak_rss_bytes"], one["empty_rss_bytes"]),
        _megabytes(one["private_bytes"], one["empty_private_bytes"]),
        _megabytes(one["file_backed_bytes"], one["empty_file_backed_bytes"]),
        _megabytes(one["empty_rss_bytes"], 0),
    ]


def _files(files: list[File], metrics: list[Metric]) -> str:
    return (
        "Megabytes (10^6 bytes)"
        + (" and scores" if metrics else "")
        + "\n"
        + table(
            ["file", "size", *(part.replace("_", "-") for part in PARTS), *map(titled, metrics)],
            [
                [
                    file["name"],
                    _megabytes(file["bytes"], 0),
                    *(_megabytes(file["parts"][p], 0) if file["parts"] else DASH for p in PARTS),
                    *(_score(metric, file) for metric in metrics),
                ]
                for file in files
            ],
        )
    )


def _profiles(profiles: list[Profile]) -> str:
    heads = ["file", "delegate", "threads", "tokens", "load", "first", "mean", "median", "peak MB"]
    rows = [
        [
            *(one["file"], one["delegate"], str(one["threads"]), str(one["length"])),
            *map(_time, (one["init_ms"], one["first_ms"], one["average_ms"], one["p50_ms"])),
            _megabytes(one["peak_memory_bytes"], 0),
        ]
        for one in profiles
    ]
    failed = dict.fromkeys(
        f"{one['file']}, {one['delegate']}: {one['failed']}" for one in profiles if one["failed"]
    )
    return "\n".join(["benchmark_model, milliseconds", table(heads, rows), *failed])


def _time(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}"


def _score(metric: Metric, file: File) -> str:
    value = score_of(metric, file)
    return DASH if value is None else plain(metric, value)


def _interval(low: float, high: float) -> str:
    return f"{low:.2f} to {high:.2f}"


def _megabytes(size: int | None, without: int | None) -> str:
    return DASH if size is None or without is None else f"{(size - without) / 1e6:.2f}"
