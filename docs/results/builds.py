# SPDX-License-Identifier: Apache-2.0
"""Writes the recorded builds as Markdown: their students, their files and the measured latency."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure.latency import VALID_QUERIES
from benchmarks.measure.schema import Metric
from benchmarks.page.errors import error_cell
from benchmarks.page.scores import in_words, titled
from results.store import class_of
from results.tables import Results, machine, megabytes, ratios, score, table, threads

INT8 = "tflite/student-int8.tflite"

# The full variant comes last, so that its files stay in the build folder.
VARIANTS = {
    "neither": ("--distil.no-enabled", "--finetune.no-second-step"),
    "second step only": ("--distil.no-enabled",),
    "general distillation only": ("--finetune.no-second-step",),
    "both": (),
}


def builds(results: Results) -> str:
    """Tables of the students of every experiment, the files of the largest build, and its latency."""
    every = results["builds"]
    lines: list[str] = []
    for name in dict.fromkeys(build["experiment"] for build in every):
        mine = [build for build in every if build["experiment"] == name]
        classes = list(dict.fromkeys(map(class_of, mine)))
        for processor in classes:
            title = f"## {name}" + (f", on {processor}" if len(classes) > 1 else "")
            lines += [title, "", *_experiment([b for b in mine if class_of(b) == processor])]
    largest = max(every, key=lambda build: len(build["files"]), default=None)
    if largest:
        lines += _files(largest)
    timed = [build for build in every if "latency" in build and build["variant"] == "both"]
    if timed:
        lines += ["## Latency, memory, size", ""]
    for processor in dict.fromkeys(map(class_of, timed)):
        lines += [f"### On {processor}", ""]
        lines += _latency(next(build for build in timed if class_of(build) == processor))
    return "\n".join(lines).rstrip() + "\n"


def _experiment(mine: Sequence[Results]) -> list[str]:
    """The table of the students of an experiment on one class of processor, and its commands."""
    data = mine[0]["data"]
    lines = [
        f"The models were trained on {_counted(data['train'])} and evaluated on {_counted(data['eval'])}. Where a "
        "student has several seeds, the table shows the mean over the seeds, and the score of each seed in "
        "parentheses.",
        "",
    ]
    by_variant = {
        variant: sorted((b for b in mine if b["variant"] == variant), key=lambda b: b["seed"])
        for variant in VARIANTS
    }
    metrics = mine[0]["metrics"]
    first = titled(metrics[0])
    header = ["student", "seeds", f"teacher {first}"]
    header += [f"student {titled(metric)}" for metric in metrics]
    header += [f"share of the teacher's {metrics[0]['label']}", f"int8 file {first}"]
    lines += table(
        [*header, "int8 file minus student"],
        [_students(metrics, variant, rows) for variant, rows in by_variant.items() if rows],
    )
    lines += ["", "These commands built the students:", "", "```"]
    lines += list(dict.fromkeys(b["command"] for b in sorted(mine, key=lambda b: b["seed"])))
    lines += ["```", "", *machine(mine[-1])]
    return lines


def _score(build: Results, model: str, score: str) -> float:
    return float(next(m for m in build["models"] if m["name"] == model)["scores"][score])


def _counted(data: Mapping[str, Any]) -> str:
    """The numbers of examples in a data set by kind, with its name and checksum."""
    counts = (f"{count:,} {name}" for name, count in data["counts"].items() if name != "skipped")
    return f"{' about '.join(counts)} ({data['name']}, sha256 `{data['sha256'][:12]}`)"


def _students(metrics: Sequence[Metric], variant: str, rows: Sequence[Results]) -> list[str]:
    """The row of a variant: the mean over the seeds, with the score of each seed in parentheses."""
    first = metrics[0]["name"]
    teacher, student = ([_score(b, m, first) for b in rows] for m in ("teacher", "student"))
    int8 = [next(f["scores"][first] for f in b["files"] if f["path"] == INT8) for b in rows]
    kept = [100 * s / t for s, t in zip(student, teacher, strict=True)]
    drift = [i - s for i, s in zip(int8, student, strict=True)]
    return [
        variant,
        ", ".join(str(b["seed"]) for b in rows),
        _mean(teacher),
        *(_mean([_score(b, "student", metric["name"]) for b in rows]) for metric in metrics),
        f"{statistics.mean(kept):.1f} %",
        _mean(int8),
        f"{statistics.mean(drift):+.2f} (worst {min(drift):+.2f})",
    ]


def _mean(values: Sequence[float]) -> str:
    each = f" ({', '.join(f'{v:.1f}' for v in values)})" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{each}"


def _latency(entry: Results) -> list[str]:
    """The tables of latency, memory and speedup of a build that was timed."""
    timed = entry["latency"]
    queries = timed["queries"] * timed["rounds"]
    too_few = f"**Not valid:** a valid figure needs {VALID_QUERIES:,} queries, and these come from {queries:,}."
    errors = {
        Path(file["path"]).name: f"{check['value']:.3g}"
        for file in entry["files"]
        for check in file["gate"]["checks"]
        if check["name"] == "max_logit_error"
    }
    return [
        f"`{entry['command']}` measured these times with {threads(timed['threads'])}, on {timed['queries']} queries of "
        f"{timed['mean_tokens']:.0f} tokens on average, in {timed['rounds']} rounds. Padded queries have "
        f"{timed['padded_length']} tokens. Method: {timed['method']}."
        + (f" The machine was busy: {timed['busy']}." if timed["busy"] else ""),
        "",
        *([too_few, ""] if queries < VALID_QUERIES else []),
        *table(
            [
                *(
                    "file",
                    "p50 / p90 ms, natural",
                    "p50 / p90 ms, padded",
                    "load ms",
                    "first run ms",
                ),
                *("peak memory MB", "of which before loading MB", "largest logit error"),
            ],
            [
                [
                    name,
                    *(f"{s[k]['p50']:.1f} / {s[k]['p90']:.1f}" for k in ("natural", "padded")),
                    f"{s['load_ms']:.0f}",
                    f"{s['first_ms']:.1f}",
                    megabytes(s["peak_rss_bytes"]),
                    megabytes(s["empty_rss_bytes"]),
                    errors.get(name) or error_cell(s.get("logit_error")),
                ]
                for name, s in timed["subjects"].items()
            ],
        ),
        "",
        *ratios(timed["ratios"], 1),
    ]


def _files(entry: Results) -> list[str]:
    """The table of all files of a build."""
    rows = []
    for file in entry["files"]:
        checks = {c["name"]: c["value"] for c in file["gate"]["checks"]}
        rows.append(
            [
                file["path"],
                megabytes(file["bytes"], digits=1),
                *(score(metric, file) for metric in entry["metrics"]),
                f"{checks['max_logit_error']:.4g}",
                f"{checks['mean_logit_error']:.3g}",
                f"{checks['changed_predictions']:.1f}",
                " or ".join(f"{k} {v}" for k, v in file.get("min_runtime", {}).items()),
            ]
        )
    header = ["file", "MB", *map(titled, entry["metrics"])]
    header += ["largest logit error", "mean logit error", "changed predictions %"]
    scored = next(model for model in entry["models"] if model["name"] == "student")
    return [
        "## Files",
        "",
        f"`{entry['command']}` built these files. The student in PyTorch has "
        f"{in_words(entry['metrics'][:1], scored)}. Errors are differences between the logits of a file and those of "
        "the student, over every output for every example, at natural lengths and padded.",
        "",
        *table([*header, "oldest runtime"], rows),
        "",
    ]


def _of_first_class(results: Results, experiment: str, variant: str) -> list[Results]:
    """The builds of a variant on the class of processor that its experiment was first recorded on."""
    mine = [build for build in results["builds"] if build["experiment"] == experiment]
    first = [build for build in mine if class_of(build) == class_of(mine[0])]
    return [build for build in first if build["variant"] == variant]


def kept(experiment: str, variant: str, score: str) -> Callable[[Results], float]:
    """The percentage of the teacher's score that a variant keeps, as a mean over the seeds."""

    def mean(results: Results) -> float:
        return statistics.mean(
            100 * _score(b, "student", score) / _score(b, "teacher", score)
            for b in _of_first_class(results, experiment, variant)
        )

    return mean


def data(experiment: str, key: str, *parts: str) -> Callable[[Results], str]:
    """The number of questions or passages in parts of the data of an experiment."""

    def total(results: Results) -> str:
        data = next(b["data"] for b in results["builds"] if b["experiment"] == experiment)
        return f"{sum(data[part]['counts'][key] for part in parts):,}"

    return total


def shown(value: Callable[[Results], float], digits: int) -> Callable[[Results], str]:
    """A number with a fixed number of decimals, as the pages print it."""
    return lambda results: f"{value(results):.{digits}f}"
