# SPDX-License-Identifier: Apache-2.0
"""Tables of a benchmark's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from benchmarks.measure.device_schema import THERMAL
from benchmarks.measure.schema import (
    NATURAL,
    PADDED,
    Benchmark,
    Device,
    File,
    Latency,
    Lengths,
    Metric,
    Profile,
    Ratio,
    Run,
    ScoresByMetric,
    State,
    Subject,
)
from benchmarks.measure.session import NOT_VALID
from benchmarks.measure.size import PARTS
from benchmarks.page.errors import HEADING, error_cell
from benchmarks.page.layout import (
    DASH,
    FAILED,
    Column,
    Table,
    decimals_of,
    interval,
    megabytes,
    number,
)
from benchmarks.page.scores import score_columns


def mark(latency: Latency) -> str:
    """What follows the title of a table of times that are not valid; empty where they are."""
    return f" - {NOT_VALID}" if latency["method"].startswith(NOT_VALID) else ""


def times_table(
    title: str,
    subjects: Mapping[str, Subject],
    metrics: Sequence[Metric],
    scores: Mapping[str, ScoresByMetric],
    errors: Mapping[str, str] | None = None,
) -> Table:
    """Milliseconds of a query: percentiles, mean with interval, logit error, and the first score.

    Args:
        title: of the table.
        subjects: by name.
        metrics: of the document.
        scores: of the subjects by name; one that is missing was not scored.
        errors: what the table says of the logits of a subject instead of its own figure, by name.
    """
    errors = {name: error_cell(one["logit_error"]) for name, one in subjects.items()} | dict(
        errors or {}
    )
    timed = [
        (name, lengths, times)
        for lengths in (NATURAL, PADDED)
        for name, subject in subjects.items()
        if (times := subject[lengths])
    ]
    digits = decimals_of([times["p50"] for _, _, times in timed])
    return Table(
        title,
        [
            Column("Subject", [name for name, _, _ in timed]),
            Column("Lengths", [lengths for _, lengths, _ in timed]),
            number("p50", [times["p50"] for _, _, times in timed], digits),
            number("p90", [times["p90"] for _, _, times in timed], digits),
            number("p99", [times["p99"] for _, _, times in timed], digits),
            number("mean", [times["mean"] for _, _, times in timed], digits),
            Column(
                "95% interval of mean",
                [interval(t["mean_low"], t["mean_high"], digits) for _, _, t in timed],
                "number",
            ),
            Column(HEADING, [errors[name] for name, _, _ in timed], "number"),
            *score_columns(metrics[:1], [{"scores": scores.get(name)} for name, _, _ in timed]),
        ],
    )


def ratio_tables(ratios: Sequence[Ratio], mark: str) -> list[Table]:
    """How many times faster: all against one, one against all others, each against itself.

    Args:
        ratios: of a subject with itself too, natural lengths against padded.
        mark: put after each title.
    """
    alone = [ratio for ratio in ratios if ratio["slower"] == ratio["faster"]]
    others = [ratio for ratio in ratios if ratio["slower"] != ratio["faster"]]
    # A subject that is compared with one other subject only belongs in the table of that one.
    competitors: dict[str, set[str]] = {}
    for ratio in others:
        competitors.setdefault(ratio["slower"], set()).add(ratio["faster"])
    tables = []
    for name in competitors:
        mine = [ratio for ratio in others if ratio["slower"] == name and len(competitors[name]) > 1]
        if mine:
            tables.append(_ratio_table(f"Times faster than {name}{mark}", mine, "faster"))
    rest = [ratio for ratio in others if len(competitors[ratio["slower"]]) == 1]
    for name in dict.fromkeys(ratio["faster"] for ratio in rest):
        mine = [ratio for ratio in rest if ratio["faster"] == name]
        tables.append(
            _ratio_table(f"Times that {name} is faster than others{mark}", mine, "slower")
        )
    if alone:
        tables.append(_ratio_table(f"Times faster unpadded{mark}", alone, "faster"))
    return tables


def _ratio_table(title: str, ratios: Sequence[Ratio], rows: Literal["faster", "slower"]) -> Table:
    """Ratios of means with their intervals: a row a subject, columns by whose lengths are which."""
    ways: dict[tuple[Lengths, Lengths], dict[str, Ratio]] = {}
    for ratio in ratios:
        way = ratio["faster_lengths"], ratio["slower_lengths"]
        ways.setdefault(way, {})[ratio[rows]] = ratio
    names = list(dict.fromkeys(ratio[rows] for ratio in ratios))
    columns = [Column("Subject", names)]
    for way, found in ways.items():
        each = [found.get(name) for name in names]
        bounds = [interval(one["low"], one["high"], 2) if one else DASH for one in each]
        columns.append(number(_way(way), [one["ratio"] if one else None for one in each], 2))
        columns.append(Column("95%", bounds, "number"))
    return Table(title, columns)


def _way(way: tuple[Lengths, Lengths]) -> str:
    mine, theirs = way
    return f"both {mine}" if mine == theirs else f"{mine} against {theirs}"


def memory_table(title: str, run: Run, files: Sequence[File]) -> Table:
    """Cold starts; memory is told above what the process held before loading."""
    sizes = {file["name"]: file["bytes"] for file in files}
    starts = [(name, name, one) for name, one in run["memory"].items()]
    starts += [(f"{n}, weight cache", n, one) for n, one in run["weight_cache"].items() if one]
    peak = [one["peak_rss_bytes"] - one["empty_rss_bytes"] for _, _, one in starts]
    private = [_above(one["private_bytes"], one["empty_private_bytes"]) for _, _, one in starts]
    backed = [
        _above(one["file_backed_bytes"], one["empty_file_backed_bytes"]) for _, _, one in starts
    ]
    whole = [sizes.get(name) or None for _, name, _ in starts]
    return Table(
        title,
        [
            Column("Subject", [shown for shown, _, _ in starts]),
            number("Load, ms", [one["load_ms"] for _, _, one in starts], 1),
            number("First, ms", [one["first_ms"] for _, _, one in starts], 1),
            number("Peak, MB", [megabytes(size) for size in peak], 1),
            number("Peak / file", _shares(peak, whole), 2),
            number("Private, MB", [megabytes(size) for size in private], 1),
            number("Private / file", _shares(private, whole), 2),
            number("File-backed, MB", [megabytes(size) for size in backed], 1),
            number("Empty, MB", [megabytes(o["empty_rss_bytes"]) for _, _, o in starts], 1),
        ],
    )


def _above(size: int | None, empty: int | None) -> int | None:
    return None if size is None or empty is None else size - empty


def _shares(sizes: Sequence[int | None], wholes: Sequence[int | None]) -> list[float | None]:
    each = zip(sizes, wholes, strict=True)
    return [None if size is None or not whole else size / whole for size, whole in each]


def overhead_table(title: str, run: Run) -> Table:
    """Tokenizing and decoding, means in milliseconds, and their share of the whole."""
    each = [
        (name, lengths, one)
        for name, kinds in run["overhead"].items()
        for lengths, one in kinds.items()
    ]
    return Table(
        title,
        [
            Column("Subject", [name for name, _, _ in each]),
            Column("Lengths", [lengths for _, lengths, _ in each]),
            number("Tokenize, ms", [one["tokenize"]["mean"] for _, _, one in each]),
            number("Decode, ms", [one["decode"]["mean"] for _, _, one in each]),
            number("% of the whole", [one["share_percent"] for _, _, one in each], 1),
        ],
    )


def files_table(files: Sequence[File], metrics: Sequence[Metric]) -> Table:
    """Accuracy, and what the bytes are for."""
    return Table(
        "",
        [
            Column("File", [file["name"] for file in files]),
            number("MB", [megabytes(file["bytes"]) for file in files]),
            *(number(part_name(part), [_part(file, part) for file in files], 2) for part in PARTS),
            *score_columns(metrics, files),
        ],
    )


def part_name(part: str) -> str:
    """What a part of a file is called on the page."""
    return part.replace("_", "-").capitalize()


def _part(file: File, part: str) -> float | None:
    return megabytes((file["parts"] or {}).get(part))


def checksums_table(files: Sequence[File]) -> Table:
    """What exactly was measured."""
    return Table(
        "",
        [
            Column("Path", [file["path"] for file in files], "code"),
            Column("SHA-256", [file["sha256"] or DASH for file in files], "code"),
        ],
    )


def device_tables(device: Device) -> list[Table]:
    """The phone, and its state before and after."""
    told = [
        ("Maker", device["manufacturer"]),
        ("Model", device["model"]),
        ("Chip", device["soc"] or DASH),
        ("Android", f"{device['android']} (API {device['api']})"),
        ("Instruction sets", ", ".join(device["abis"]) or DASH),
        ("Runtime", device["runtime"]),
        ("App", device["app_version"] or "none"),
    ]
    names, values = zip(*told, strict=True)
    states = (device["before"], device["after"])
    return [
        Table("", [Column("Name", names), Column("Value", values, "prose")]),
        Table(
            "Its state",
            [
                Column("When", ["before", "after"]),
                number("Battery, %", [state["battery_percent"] for state in states], 0),
                number("Battery, °C", [state["battery_celsius"] for state in states], 1),
                Column("Charging", [_yes(state["charging"]) for state in states]),
                Column("Thermal status", [thermal(state) for state in states]),
                Column("Clocks, MHz", [_clocks(state) for state in states]),
            ],
        ),
    ]


def thermal(state: State) -> str:
    """Android's thermal status as a word."""
    status = state["thermal_status"]
    if status is None:
        return DASH
    return THERMAL[status] if status < len(THERMAL) else str(status)


def _yes(value: bool | None) -> str:
    return DASH if value is None else "yes" if value else "no"


def _clocks(state: State) -> str:
    return ", ".join(f"{clock / 1e3:,.0f}" for clock in state["clocks_khz"] or ()) or DASH


def profiles_table(profiles: Sequence[Profile]) -> Table:
    """What `benchmark_model` said, a line a file, delegate, threads and length."""

    def figures(name: str, key: str) -> Column:
        return number(name, [profile.get(key) for profile in profiles])  # type: ignore[misc]

    return Table(
        "",
        [
            Column("File", [profile["file"] for profile in profiles]),
            Column("Delegate", [profile["delegate"] for profile in profiles]),
            number("Threads", [profile["threads"] for profile in profiles], 0),
            number("Length", [profile["length"] for profile in profiles], 0),
            figures("Mean, ms", "average_ms"),
            figures("p50", "p50_ms"),
            figures("p90", "p90_ms"),
            figures("p99", "p99_ms"),
            number("Runs", [profile["runs"] for profile in profiles], 0),
            figures("Open, ms", "init_ms"),
            figures("First, ms", "first_ms"),
            figures("Warm-up, ms", "warmup_ms"),
            number("Peak, MB", [megabytes(p["peak_memory_bytes"]) for p in profiles]),
            Column("Result", [FAILED if p["failed"] else "measured" for p in profiles]),
            Column("Why it failed", [p["failed"] or DASH for p in profiles], "prose"),
        ],
    )


def operators_table(document: Benchmark) -> Table | None:
    """Where the time of an inference goes; None where no profile tells."""
    each = [(p, one) for p in document["profiles"] for one in p["operators"] or ()]
    if not each:
        return None
    return Table(
        "",
        [
            Column("File", [profile["file"] for profile, _ in each]),
            Column("Delegate", [profile["delegate"] for profile, _ in each]),
            number("Threads", [profile["threads"] for profile, _ in each], 0),
            number("Length", [profile["length"] for profile, _ in each], 0),
            Column("Operator", [one["name"] for _, one in each]),
            number("Count", [one["count"] for _, one in each], 0),
            number("ms", [one["average_ms"] for _, one in each], 3),
            number("%", [one["percent"] for _, one in each], 1),
        ],
    )
