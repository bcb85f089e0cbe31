# SPDX-License-Identifier: Apache-2.0
"""The recorded builds: their students, their files, and the one that was timed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.measure.schema import Metric
from benchmarks.page.scores import in_words, titled
from results.tables import Results, machine, megabytes, ratios, score, table

INT8 = "tflite/student-int8.tflite"

# The full way last, so that its files stay in the build folder.
VARIANTS = {
    "neither": ("--distil.no-enabled", "--finetune.no-second-step"),
    "second step only": ("--distil.no-enabled",),
    "general distillation only": ("--finetune.no-second-step",),
    "both": (),
}


def builds(results: Results) -> str:
    """Every experiment's students; every file of the largest build; the timed build."""
    every = results["builds"]
    lines: list[str] = []
    for name in dict.fromkeys(build["experiment"] for build in every):
        mine = [build for build in every if build["experiment"] == name]
        data = mine[0]["data"]
        lines += [
            f"## {name}",
            "",
            f"Trained on {_counted(data['train'])}, scored on {_counted(data['eval'])}.",
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
        header += [f"of the teacher's {metrics[0]['label']}", f"int8 file {first}"]
        lines += table(
            [*header, "int8 less student"],
            [_students(metrics, variant, rows) for variant, rows in by_variant.items() if rows],
        )
        lines += ["", "Commands:", "", "```"]
        lines += list(dict.fromkeys(b["command"] for b in sorted(mine, key=lambda b: b["seed"])))
        lines += ["```", "", *machine(mine[-1])]
    largest = max(every, key=lambda build: len(build["files"]), default=None)
    if largest:
        lines += _files(largest)
    timed = [build for build in every if "latency" in build and build["variant"] == "both"]
    if timed:
        lines += _latency(timed[0])
    return "\n".join(lines).rstrip() + "\n"


def _score(build: Results, model: str, score: str) -> float:
    return float(next(m for m in build["models"] if m["name"] == model)["scores"][score])


def _counted(data: Mapping[str, Any]) -> str:
    """How many examples a data set has of what, with its name and checksum."""
    counts = (f"{count:,} {name}" for name, count in data["counts"].items() if name != "skipped")
    return f"{' about '.join(counts)} ({data['name']}, sha256 `{data['sha256'][:12]}`)"


def _students(metrics: Sequence[Metric], variant: str, rows: Sequence[Results]) -> list[str]:
    """One variant: the mean over the seeds, each seed's score in brackets."""
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
    """The timed build's tables."""
    timed = entry["latency"]
    return [
        "## Latency, memory, size",
        "",
        f"From the build of `{entry['command']}`. Method: {timed['method']}. {timed['threads']} thread, "
        f"{timed['queries']} windows of {timed['mean_tokens']:.0f} tokens on average, {timed['rounds']} rounds, padded to "
        f"{timed['padded_length']}."
        + (f" The machine was busy: {timed['busy']}." if timed["busy"] else ""),
        "",
        *table(
            [
                *(
                    "subject",
                    "p50 / p90 ms, natural",
                    "p50 / p90 ms, padded",
                    "load ms",
                    "first ms",
                ),
                *("peak memory MB", "of it before loading MB"),
            ],
            [
                [
                    name,
                    *(f"{s[k]['p50']:.1f} / {s[k]['p90']:.1f}" for k in ("natural", "padded")),
                    f"{s['load_ms']:.0f}",
                    f"{s['first_ms']:.1f}",
                    megabytes(s["peak_rss_bytes"]),
                    megabytes(s["empty_rss_bytes"]),
                ]
                for name, s in timed["subjects"].items()
            ],
        ),
        "",
        *ratios(timed["ratios"], 1),
    ]


def _files(entry: Results) -> list[str]:
    """Every file that a build made."""
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
    header += ["largest logit error", "mean", "changed predictions %"]
    scored = next(model for model in entry["models"] if model["name"] == "student")
    return [
        "## Files",
        "",
        f"From the build of `{entry['command']}`. The student in PyTorch has "
        f"{in_words(entry['metrics'][:1], scored)}; errors are differences from its logits over "
        "every token of every question, at natural lengths and padded.",
        "",
        *table([*header, "lowest runtime"], rows),
        "",
    ]


def student(experiment: str, variant: str, score: str, results: Results) -> float:
    """The mean of a variant's students over its seeds."""
    return statistics.mean(
        _score(b, "student", score)
        for b in results["builds"]
        if (b["experiment"], b["variant"]) == (experiment, variant)
    )


def gain(experiment: str, more: str, less: str, score: str = "f1") -> Callable[[Results], float]:
    """How much a score is higher with one variant than with another, means over the seeds."""
    return lambda r: student(experiment, more, score, r) - student(experiment, less, score, r)


def data(experiment: str, key: str, *parts: str) -> Callable[[Results], str]:
    """Questions or passages of an experiment's data."""

    def total(results: Results) -> str:
        data = next(b["data"] for b in results["builds"] if b["experiment"] == experiment)
        return f"{sum(data[part]['counts'][key] for part in parts):,}"

    return total


def shown(value: Callable[[Results], float], digits: int) -> Callable[[Results], str]:
    """A number as the pages print it."""
    return lambda results: f"{value(results):.{digits}f}"
