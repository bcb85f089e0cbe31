# SPDX-License-Identifier: Apache-2.0
"""Writes the recorded documents of `benchmarks.run` and `benchmarks.paper` as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.measure.latency import VALID_QUERIES, VALID_SECONDS
from benchmarks.measure.schema import Metric
from benchmarks.page.errors import error_cell
from benchmarks.page.scores import titled
from results.tables import Results, machine, megabytes, ratios, score, table, threads


def benchmarks(results: Results) -> str:
    """Tables of every document of `benchmarks.run`, one after another for each class."""
    lines: list[str] = []
    for name, by_class in results["benchmarks"].items():
        lines += [f"## Benchmark: {name}", ""]
        for processor, document in by_class.items():
            lines += [f"### On {processor}", "", *_measured(document)]
            for run in document["runs"]:
                lines += _run(run)
            lines += _sizes(document["files"], document["metrics"])
    return "\n".join(lines).rstrip() + "\n" if lines else ""


def ratio(
    name: str, faster: str, slower: str, lengths: tuple[str, str]
) -> Callable[[Results], float]:
    """The speedup of one file over another in the document `name`, each at its kind of length.

    It is that of the class that was recorded first.
    """
    wanted = (faster, slower, *lengths)
    keys = ("faster", "slower", "faster_lengths", "slower_lengths")

    def found(results: Results) -> float:
        rows = _of_first_class(results, name)["runs"][0]["latency"]["ratios"]
        return float(next(r["ratio"] for r in rows if tuple(r[key] for key in keys) == wanted))

    return found


def _of_first_class(results: Results, name: str) -> Any:
    """The document `name` of the class of processor that was recorded first."""
    return next(iter(results["benchmarks"][name].values()))


def bytes_percent(name: str) -> Callable[[Results], float]:
    """The bytes of the second file of the document `name` in percent of the first one's."""

    def found(results: Results) -> float:
        first, second, *_ = _of_first_class(results, name)["files"]
        return float(100 * second["bytes"] / first["bytes"])

    return found


def time_percent(name: str) -> Callable[[Results], float]:
    """The mean time of the second file in percent of the first one's, at natural lengths."""

    def found(results: Results) -> float:
        first, second, *_ = _of_first_class(results, name)["files"]
        natural = ("natural", "natural")
        return 100 / ratio(name, second["name"], first["name"], natural)(results)

    return found


def measured(document: Results, notes: Sequence[str] = ()) -> list[str]:
    """The command, the machine, and the reasons to distrust the figures.

    Args:
        document: what a benchmark wrote.
        notes: sentences that come before the cautions.
    """
    lines = [
        f"These figures were measured on {document['created'][:10]} by `{document['command']}`.",
        "",
    ]
    for note in (*notes, *(f"Caution: {line}." for line in document["warnings"])):
        lines += [note, ""]
    return [*lines, *machine(document)]


def _measured(document: Results) -> list[str]:
    """As `measured`, with whether the figures are valid by the rule of latencies."""
    reasons = [run["too_short"] for run in document.get("runs", [document])]
    notes = [f"**Not valid:** {reason}." for reason in dict.fromkeys(filter(None, reasons))]
    if not notes:
        notes = [f"Valid: at least {VALID_QUERIES:,} queries and {VALID_SECONDS:.0f} s each."]
    return measured(document, notes)


def _run(run: Results) -> list[str]:
    """The tables of a run with one number of threads."""
    timed, overhead = run["latency"], run["overhead"]
    starts = list(run["memory"].items())
    starts += [(f"{name}, weight cache", one) for name, one in run["weight_cache"].items() if one]
    lines = [
        f"With {threads(run['threads'])}, each file answered {timed['queries'] * timed['rounds']:,} queries of "
        f"{timed['mean_tokens']:.0f} tokens on average; the run took {run['seconds']:,.0f} s. Method: {timed['method']}.",
        "",
        *table(
            [
                *("file", "lengths", "p50 ms", "p90 ms", "p99 ms", "mean ms (95 % interval)"),
                "largest logit error",
            ],
            [
                [
                    name,
                    kind if kind == "natural" else f"padded to {timed['padded_length']}",
                    *(f"{subject[kind][p]:.1f}" for p in ("p50", "p90", "p99")),
                    f"{subject[kind]['mean']:.1f} ({subject[kind]['mean_low']:.1f} to {subject[kind]['mean_high']:.1f})",
                    error_cell(subject.get("logit_error")),  # older records have none
                ]
                for kind in ("natural", "padded")
                for name, subject in timed["subjects"].items()
            ],
        ),
        "",
        *ratios(timed["ratios"], 2),
        "",
        *table(
            ["file", "load ms", "first run ms", "peak MB", "private MB", "file-backed MB"],
            [
                [
                    name,
                    f"{one['load_ms']:.1f}",
                    f"{one['first_ms']:.1f}",
                    megabytes(one["peak_rss_bytes"], one["empty_rss_bytes"]),
                    megabytes(one["private_bytes"], one["empty_private_bytes"]),
                    megabytes(one["file_backed_bytes"], one["empty_file_backed_bytes"]),
                ]
                for name, one in starts
            ],
        ),
        "",
    ]
    if overhead:
        lines += table(
            ["file", "lengths", "tokenize ms", "decode ms", "share of total %"],
            [
                [
                    name,
                    kind,
                    *(f"{one[work]['mean']:.2f}" for work in ("tokenize", "decode")),
                    f"{one['share_percent']:.1f}",
                ]
                for name, each in overhead.items()
                for kind, one in each.items()
            ],
        )
        lines += [""]
    return lines


def _sizes(files: Sequence[Results], metrics: Sequence[Metric]) -> list[str]:
    """The size of each part of a file, and its scores, if it ran on questions."""
    parts = list(dict.fromkeys(part for file in files for part in file["parts"] or ()))
    rows = [
        [
            file["name"],
            megabytes(file["bytes"], digits=1),
            *(megabytes((file["parts"] or {}).get(part), digits=1) for part in parts),
            *(score(metric, file) for metric in metrics),
        ]
        for file in files
    ]
    names = [part.replace("_", "-") for part in parts]
    return [*table(["file", "MB", *names, *map(titled, metrics)], rows), ""]


def paper(results: Results) -> str:
    """Table 3 of the paper next to the figures measured here."""
    by_class = results["paper"].get("table-3", {})
    lines = ["## The paper's table 3", ""] if by_class else []
    for processor, document in by_class.items():
        lines += [f"### On {processor}", "", *_paper(document), ""]
    return "\n".join(lines).rstrip() + "\n" if lines else ""


def _paper(document: Results) -> list[str]:
    """The tables of a document of `benchmarks.paper`."""
    scaled = (
        f", {document['pairs']:,} of which were measured"
        if document["pairs"] < document["full_pass"]
        else ""
    )
    return [
        f"A pass covers {document['full_pass']:,} sentence pairs{scaled}, with {document['mean_words']:.1f} words and "
        f"{document['mean_pieces']:.1f} word pieces per pair on average, on {threads(document['threads'])}. The project "
        f"does not contain STS-B, so the lengths are drawn: {document['assumed']}. Method: {document['method']}.",
        "",
        f"Note: {document['note']}.",
        "",
        *_measured(document),
        *table(
            [
                *("model", "million parameters", "of which task head", "paper millions"),
                *("ms per pair", "s per pass (95 % interval)", "paper s"),
            ],
            [
                [
                    row["name"],
                    f"{row['parameters'] / 1e6:.1f}",
                    f"{row['parameters_head'] / 1e6:.1f}",
                    str(row["paper"]["millions"]) if row["paper"] else "-",
                    f"{row['milliseconds']['mean']:.1f}",
                    f"{row['seconds']:.0f} ({row['seconds_low']:.0f} to {row['seconds_high']:.0f})",
                    str(row["paper"]["seconds"]) if row["paper"] else "-",
                ]
                for row in document["rows"]
            ],
        ),
        "",
        *table(
            ["faster", "slower", "times faster (95 % interval)", "paper"],
            [
                [
                    r["faster"],
                    r["slower"],
                    f"{r['ratio']:.2f} ({r['low']:.2f} to {r['high']:.2f})",
                    f"{r['paper']:.2f}" if r["paper"] else "-",
                ]
                for r in document["ratios"]
            ],
        ),
    ]
