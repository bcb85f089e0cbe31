# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks wrote: `benchmarks.run` and `benchmarks.paper`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.measure.schema import Metric
from benchmarks.page.scores import titled
from results.tables import Results, machine, megabytes, ratios, score, table


def benchmarks(results: Results) -> str:
    """Every document of `benchmarks.run`."""
    lines: list[str] = []
    for name, document in results["benchmarks"].items():
        lines += [f"## Benchmark: {name}", "", *_measured(document)]
        for run in document["runs"]:
            lines += _run(run)
        lines += _sizes(document["files"], document["metrics"])
    return "\n".join(lines).rstrip() + "\n" if lines else ""


def ratio(
    name: str, faster: str, slower: str, lengths: tuple[str, str]
) -> Callable[[Results], float]:
    """How many times faster a file was than another in the document `name`, at these lengths each."""
    wanted = (faster, slower, *lengths)
    keys = ("faster", "slower", "faster_lengths", "slower_lengths")

    def found(results: Results) -> float:
        rows = results["benchmarks"][name]["runs"][0]["latency"]["ratios"]
        return float(next(r["ratio"] for r in rows if tuple(r[key] for key in keys) == wanted))

    return found


def _measured(document: Results) -> list[str]:
    """The command, the machine, and what is to be said against the figures."""
    reasons = [run["too_short"] for run in document.get("runs", [document])]
    notes = [f"**Not valid:** {reason}." for reason in dict.fromkeys(filter(None, reasons))]
    notes += [f"Caution: {line}." for line in document["warnings"]]
    lines = [f"Measured {document['created'][:10]} by `{document['command']}`.", ""]
    for note in notes:
        lines += [note, ""]
    return [*lines, *machine(document)]


def _run(run: Results) -> list[str]:
    """One number of threads."""
    timed, overhead = run["latency"], run["overhead"]
    starts = list(run["memory"].items())
    starts += [(f"{name}, weight cache", one) for name, one in run["weight_cache"].items() if one]
    lines = [
        f"Threads: {run['threads']}. {timed['queries'] * timed['rounds']:,} queries of {timed['mean_tokens']:.0f} tokens on "
        f"average, {run['seconds']:.0f} s. Method: {timed['method']}.",
        "",
        *table(
            ["file", "lengths", "p50 ms", "p90 ms", "p99 ms", "mean ms (95 % interval)"],
            [
                [
                    name,
                    kind if kind == "natural" else f"padded to {timed['padded_length']}",
                    *(f"{subject[kind][p]:.1f}" for p in ("p50", "p90", "p99")),
                    f"{subject[kind]['mean']:.1f} ({subject[kind]['mean_low']:.1f} to {subject[kind]['mean_high']:.1f})",
                ]
                for kind in ("natural", "padded")
                for name, subject in timed["subjects"].items()
            ],
        ),
        "",
        *ratios(timed["ratios"], 2),
        "",
        *table(
            ["file", "load ms", "first ms", "peak MB", "private MB", "file-backed MB"],
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
            ["file", "lengths", "tokenize ms", "decode ms", "of all %"],
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
    """What the bytes are for, and how well the file answers, where it was asked."""
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
    """The paper's table 3 beside ours."""
    document = results["paper"].get("table-3")
    if document is None:
        return ""
    scaled = (
        f", {document['pairs']:,} of them measured"
        if document["pairs"] < document["full_pass"]
        else ""
    )
    lines = [
        "## The paper's table 3",
        "",
        f"A pass over {document['full_pass']:,} sentence pairs{scaled}: {document['mean_words']:.1f} words, "
        f"{document['mean_pieces']:.1f} word pieces a pair on average, {document['threads']} thread. Assumed, for want of STS-B: "
        f"{document['assumed']}. Method: {document['method']}.",
        "",
        f"Note: {document['note']}.",
        "",
        *_measured(document),
        *table(
            [
                *("model", "million parameters", "of it the task's head", "paper"),
                *("ms a pair", "s a pass (95 % interval)", "paper"),
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
    return "\n".join(lines) + "\n"
