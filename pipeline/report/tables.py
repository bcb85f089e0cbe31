# SPDX-License-Identifier: Apache-2.0
"""What a report says below its headline: sections and tables of finished strings.

Markdown, HTML and the console render the same tables, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.measure.schema import NATURAL, PADDED, Lengths, Ratio, Subject, Summary
from benchmarks.page.errors import HEADING, MEANING
from benchmarks.page.layout import (
    DASH,
    FAILED,
    PASSED,
    Column,
    Section,
    Table,
    duration,
    flat,
    interval,
    megabytes,
    number,
    pairs,
    plain,
)
from benchmarks.page.scores import explained, score_columns
from benchmarks.page.tables import mark, times_table
from pipeline import tasks
from pipeline.report.advice import advice
from pipeline.report.errors import largest_error, logit_error
from pipeline.report.schema import File, Model, Report

SIGNS = {"<=": "≤", ">=": "≥", "==": "="}


def sections(report: Report) -> list[Section]:
    """Everything below the headline."""
    return [
        Section(
            "models",
            "Models and files",
            [_units(report)],
            [_models_table(report), _files_table(report), *_faults_tables(report)],
        ),
        _latency_section(report),
        Section("advice", "Which file to use", advice(report)),
        Section(
            "gates",
            "Gates",
            [
                "An exported file is compared with the PyTorch model it comes from. A file passes "
                "its gate if every check holds.",
                *_samples(report),
            ],
            [_gates_table(report)],
        ),
        Section("build", "Build", [], [_stages_table(report)]),
        Section("data", "Data", [], [_data_table(report)]),
        Section("machine", "Machine", [], [pairs(report["machine"], space=" ")]),
        Section(
            "checksums",
            "Checksums",
            [],
            [
                Table(
                    "",
                    [
                        Column("File", [file["path"] for file in report["files"]], "code"),
                        Column("SHA-256", [file["sha256"] for file in report["files"]], "code"),
                    ],
                )
            ],
            folded=True,
        ),
        Section("versions", "Versions", [], [pairs(report["versions"])], folded=True),
        Section("config", "Configuration", [], [pairs(report["config"])], folded=True),
    ]


def _units(report: Report) -> str:
    """What the figures of the first tables are measured in."""
    said = "1 MB is 10⁶ bytes."
    if report["metrics"]:
        data = report["data"]["eval"]["name"]
        said += f" {explained(report['metrics'])}, on {data}."
        said += " A file's scores are its own, not its model's."
    return said


def overview(report: Report) -> Table:
    """The table that a build ends with: one line a model or file, in 80 columns."""
    models, files = report["models"], report["files"]
    every = [entry["name"] for entry in [*models, *files]]
    timed = [subject_of(report, name) for name in every]
    gates = [file["gate"] for file in files]
    marked = mark(report["latency"]) if report["latency"] else ""
    return Table(
        "",
        [
            Column("Name", [entry["name"] for entry in [*models, *files]]),
            number("MB", [megabytes(entry["bytes"]) for entry in [*models, *files]]),
            *score_columns(report["metrics"], [*models, *files]),
            number(
                f"p90 ms, natural{marked}", [value_of(_times(one, NATURAL), "p90") for one in timed]
            ),
            number(
                f"p90 ms, padded{marked}", [value_of(_times(one, PADDED), "p90") for one in timed]
            ),
            Column(
                "Logit error",
                [DASH] * len(models) + [largest_error(file, digits=2) for file in files],
                "number",
            ),
            Column("Gate", [DASH] * len(models) + [_verdict(g and g["passed"]) for g in gates]),
        ],
    )


def scored(report: Report, subject: str) -> File | Model | None:
    """The file or model whose accuracy a latency subject has: its own, or as `MODEL-fp32.*`."""
    entries: list[File | Model] = [*report["files"], *report["models"]]
    for entry in entries:
        if entry["name"] == subject:
            return entry
    return model_named(report, subject.partition("-fp32")[0])


def subject_of(report: Report, name: str) -> Subject | None:
    """The latency subject of a file or model, the reverse of `scored`."""
    subjects = report["latency"]["subjects"] if report["latency"] else {}
    if name in subjects:
        return subjects[name]
    entry = model_named(report, name)
    exported = (one for key, one in subjects.items() if entry and scored(report, key) is entry)
    return next(exported, None)


def _models_table(report: Report) -> Table:
    models = report["models"]
    return Table(
        "Models",
        [
            Column("Model", [model["name"] for model in models]),
            number("Layers", [model["layers"] for model in models], 0),
            number("Hidden size", [model["hidden_size"] for model in models], 0),
            number("Parameters", [model["parameters"] for model in models], 0),
            number("In embeddings", [model["parameters_embedding"] for model in models], 0),
            number("MB", [megabytes(model["bytes"]) for model in models]),
            *score_columns(report["metrics"], models),
        ],
    )


def _files_table(report: Report) -> Table:
    files = report["files"]
    return Table(
        "Files",
        [
            Column("File", [file["name"] for file in files]),
            Column("Target", [file["target"] for file in files]),
            Column("Precision", [file["precision"] for file in files]),
            number("MB", [megabytes(file["bytes"]) for file in files]),
            *score_columns(report["metrics"], files),
            Column(HEADING, [largest_error(file) for file in files], "number"),
            Column("Gate", [_verdict(file["gate"] and file["gate"]["passed"]) for file in files]),
            Column("Lowest runtime", [releases(file) for file in files]),
            Column("For", [file["purpose"] for file in files], "prose"),
        ],
    )


def _faults_tables(report: Report) -> list[Table]:
    """What older runtimes do to the files without saying so; no table if nothing is known."""
    known = [
        (file["name"], runtime, fault)
        for file in report["files"]
        for runtime, fault in file["faults"].items()
    ]
    if not known:
        return []
    names, runtimes, faults = zip(*known, strict=True)
    return [
        Table(
            "Older runtimes that go wrong",
            [Column("File", names), Column("Runtime", runtimes), Column("What it does", faults)],
        )
    ]


def releases(file: File) -> str:
    """The oldest release of each runtime that a file runs in."""
    return " or ".join(f"{name} {oldest}" for name, oldest in file["min_runtime"].items()) or DASH


def _latency_section(report: Report) -> Section:
    latency = report["latency"]
    if latency is None:
        return Section("latency", "Latency", ["Latency was not measured."])
    method, unit = latency["method"].rstrip("."), tasks.find(report["task"]).unit
    paragraphs = [
        f"{method[:1].upper()}{method[1:]}. Threads: {latency['threads']}; {unit}s: "
        f"{latency['queries']:,}, {latency['mean_tokens']:,.1f} tokens on average; rounds: "
        f"{latency['rounds']}. Padded means to {latency['padded_length']} tokens."
    ]
    if latency["busy"]:
        paragraphs.append(f"Caution: {latency['busy']}.")
    entries = {name: scored(report, name) for name in latency["subjects"]}
    borrowed = [name for name, entry in entries.items() if entry and entry["name"] != name]
    metrics, marked = report["metrics"], mark(latency)
    if borrowed and metrics:
        label = metrics[0]["label"]
        names = ", ".join(borrowed)
        paragraphs.append(f"{label} is that of the PyTorch model, not of the file, for: {names}.")
    untimed = [f["name"] for f in report["files"] if f["name"] not in latency["subjects"]]
    if untimed:
        paragraphs.append(f"Not timed, their runtime is not on this machine: {', '.join(untimed)}.")
    scores = {name: entry["scores"] for name, entry in entries.items() if entry}
    title = f"Milliseconds per {unit}{marked}"
    errors = {name: logit_error(report, name) for name in latency["subjects"]}
    paragraphs.append(f"{MEANING}. Where a file has a gate, its error is the gate's.")
    tables = [
        times_table(title, latency["subjects"], metrics, scores, errors),
        _ratios_table(f"Ratios of mean times{marked}", latency["ratios"]),
        _memory_table(latency["subjects"]),
    ]
    return Section("latency", "Latency", paragraphs, tables)


def _ratios_table(title: str, ratios: Sequence[Ratio]) -> Table:
    intervals = [interval(ratio["low"], ratio["high"], 2) for ratio in ratios]
    return Table(
        title,
        [
            Column("Faster", [ratio["faster"] for ratio in ratios]),
            Column("Lengths", [ratio["faster_lengths"] for ratio in ratios]),
            Column("Slower", [ratio["slower"] for ratio in ratios]),
            Column("Lengths", [ratio["slower_lengths"] for ratio in ratios]),
            number("Ratio", [ratio["ratio"] for ratio in ratios], 2),
            Column("95% interval", intervals, "number"),
        ],
    )


def _memory_table(subjects: dict[str, Subject]) -> Table:
    each = list(subjects.values())
    return Table(
        "Cold start and memory",
        [
            Column("Subject", list(subjects)),
            number("Load, ms", [one["load_ms"] for one in each]),
            number("First answer, ms", [one["first_ms"] for one in each]),
            number("Peak memory, MB", [megabytes(one["peak_rss_bytes"]) for one in each]),
            number("Before load, MB", [megabytes(one["empty_rss_bytes"]) for one in each]),
            Column("Path", [one["path"] for one in each], "code"),
        ],
    )


def _samples(report: Report) -> list[str]:
    """Sentences about gates that looked at other examples than all of those for evaluation."""
    unit = tasks.find(report["task"]).unit
    there = next(iter(report["data"]["eval"]["counts"].values()))
    gates = [(file["name"], file["gate"]) for file in report["files"] if file["gate"]]
    said: dict[str, list[str]] = {}
    for name, gate in gates:
        count = gate.get("examples", there)
        padded = gate.get("padded_examples", count)
        training = gate.get("training_examples", 0)
        if count < there:
            said.setdefault(
                f"Run on {count:,} of the {there:,} {unit}s, evenly spread, with which the PyTorch "
                "model's score on the same ones is compared",
                [],
            ).append(name)
        if padded < count:
            said.setdefault(f"Run padded on {padded:,} {unit}s, evenly spread", []).append(name)
        if training:
            said.setdefault(
                f"Drop of the score measured on {count:,} evaluation and {training:,} training "
                f"{unit}s together, while scores are those of the evaluation {unit}s alone",
                [],
            ).append(name)
    return [f"{how}: {', '.join(names)}." for how, names in said.items()]


def _gates_table(report: Report) -> Table:
    checks = [
        (file["name"], check)
        for file in report["files"]
        if file["gate"]
        for check in file["gate"]["checks"]
    ]
    limits = [f"{SIGNS[check['rule']]} {plain(check['limit'])}" for _, check in checks]
    return Table(
        "",
        [
            Column("File", [name for name, _ in checks]),
            Column("Check", [check["name"] for _, check in checks]),
            Column("Lengths", [check["lengths"] for _, check in checks]),
            Column("Value", [plain(check["value"]) for _, check in checks], "number"),
            Column("Limit", limits, "number"),
            Column("Result", [_verdict(check["passed"]) for _, check in checks]),
            Column("Why this limit", [check["reason"] for _, check in checks], "prose"),
        ],
    )


def _stages_table(report: Report) -> Table:
    stages = report["stages"]
    return Table(
        "",
        [
            Column("Stage", [stage["name"] for stage in stages]),
            Column("Time", [duration(stage["seconds"]) for stage in stages], "number"),
            Column("Run", ["resumed" if stage["resumed"] else "now" for stage in stages]),
            Column(
                "Facts",
                ["; ".join(f"{k} {v}" for k, v in flat(s["facts"])) or DASH for s in stages],
                "prose",
            ),
        ],
    )


def _data_table(report: Report) -> Table:
    sets: list[tuple[str, dict[str, Any]]] = [
        (name, {**one, **one.get("counts", {})})
        for name, one in report["data"].items()
        if isinstance(one, dict)
    ]
    known = {"name", "sha256", "counts", "language"}
    languages = [one.get("language") for _, one in sets]
    numbers = dict.fromkeys(what for _, one in sets for what in one if what not in known)
    return Table(
        "",
        [
            Column("Used as", [name for name, _ in sets]),
            Column("Name", [one["name"] for _, one in sets]),
            *(number(what.capitalize(), [one.get(what) for _, one in sets], 0) for what in numbers),
            *([Column("Language", [code or DASH for code in languages])] if any(languages) else []),
            Column("SHA-256", [one["sha256"] for _, one in sets], "code"),
        ],
    )


def _verdict(passed: bool | None) -> str:
    return "not verified" if passed is None else PASSED if passed else FAILED


def _times(subject: Subject | None, lengths: Lengths) -> Summary | None:
    return subject[lengths] if subject else None


def value_of(entry: Any, key: str) -> float | None:
    """`entry[key]`, None where there is no entry."""
    return entry[key] if entry else None


def model_named(report: Report, name: str) -> Model | None:
    """The model of that name, None where there is none."""
    return next((model for model in report["models"] if model["name"] == name), None)
