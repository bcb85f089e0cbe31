# SPDX-License-Identifier: Apache-2.0
"""What a report opens with: four figures that need no knowledge of the field."""

from __future__ import annotations

from benchmarks.page.headline import score_fact, size_fact, speed_fact
from benchmarks.page.layout import DASH, Fact
from pipeline import tasks
from pipeline.report.schema import File, Model, Report
from pipeline.report.tables import model_named


def headline_file(report: Report) -> File | None:
    """The file a report opens with.

    It is the faster side of the first latency ratio, else the smallest file that passed its gate,
    else the smallest file.
    """
    files = report["files"]
    if report["latency"] and report["latency"]["ratios"]:
        name = report["latency"]["ratios"][0]["faster"]
        named = [file for file in files if file["name"] == name]
        if named:
            return named[0]
    passed = [file for file in files if file["gate"] and file["gate"]["passed"]]
    return min(passed or files, key=lambda file: file["bytes"], default=None)


def headline(report: Report) -> list[Fact]:
    """How much smaller and faster, how much of the score is left, did every gate pass.

    The file is compared with the teacher; in a build without one, with the student in float32.
    """
    file, teacher = headline_file(report), model_named(report, "teacher")
    compared = ("the teacher", teacher)
    if teacher is None:
        compared = ("the student in float32", model_named(report, "student"))
    return [
        _size_fact(file, *compared),
        _speed_fact(report),
        _score_fact(report, file, *compared),
        _gates_fact(report),
    ]


def _size_fact(file: File | None, name: str, model: Model | None) -> Fact:
    if file is None or model is None or not file["bytes"]:
        return Fact(DASH, "size", "There is no exported file and model to compare.")
    return size_fact(file["name"], file["bytes"], name, model["bytes"])


def _speed_fact(report: Report) -> Fact:
    latency = report["latency"]
    if latency is None:
        return Fact(DASH, "speed", "Latency was not measured.")
    if not latency["ratios"]:
        return Fact(DASH, "speed", "No two subjects were compared.")
    unit = tasks.find(report["task"]).unit
    return speed_fact(latency, latency["ratios"][0], report["machine"], unit)


def _score_fact(report: Report, file: File | None, name: str, model: Model | None) -> Fact:
    mine = (file["name"] if file else "", file)
    data = report["data"]["eval"]["name"]
    return score_fact(report["metrics"], mine, (name, model), data)


def _gates_fact(report: Report) -> Fact:
    gates = {file["name"]: file["gate"] for file in report["files"]}
    checks = [check for gate in gates.values() if gate for check in gate["checks"]]
    unverified = [name for name, gate in gates.items() if gate is None]
    failures = [
        f"{name} {check['name']} ({check['lengths']})"
        for name, gate in gates.items()
        if gate
        for check in gate["checks"]
        if not check["passed"]
    ]
    sentence = f"Failed: {', '.join(failures)}." if failures else ""
    if unverified or not gates:
        sentence += f" Not verified: {', '.join(unverified) or 'no file was exported'}."
    return Fact(
        f"{sum(check['passed'] for check in checks)}/{len(checks)}" if checks else DASH,
        "checks passed",
        sentence.strip() or "Every exported file passed every check of its gate.",
        verdict=not sentence,
    )
