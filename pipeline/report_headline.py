# SPDX-License-Identifier: Apache-2.0
"""What a report opens with: four figures that need no knowledge of the field."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.report_schema import File, Model, Report
from pipeline.report_tables import (
    DASH,
    NATURAL,
    PADDED,
    TIMES,
    interval,
    model_named,
    three_digits,
    value_of,
)


@dataclass(frozen=True)
class Fact:
    """One figure of the headline, and the sentence that says what it is worth."""

    figure: str
    label: str
    sentence: str
    verdict: bool | None = None


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
    """How much smaller and faster, how much of the teacher's F1 is left, did every gate pass."""
    file, teacher = headline_file(report), model_named(report, "teacher")
    return [
        _size_fact(file, teacher),
        _speed_fact(report),
        _f1_fact(report, file, teacher),
        _gates_fact(report),
    ]


def _size_fact(file: File | None, teacher: Model | None) -> Fact:
    if file is None or teacher is None or not file["bytes"]:
        return Fact(DASH, "size", "There is no exported file and teacher to compare.")
    times = teacher["bytes"] / file["bytes"]
    return Fact(
        f"{three_digits(max(times, 1 / times) if times else 0)}{TIMES}",
        "smaller" if times >= 1 else "larger",
        f"{file['name']} is {three_digits(file['bytes'] / 1e6)} MB; "
        f"the teacher is {three_digits(teacher['bytes'] / 1e6)} MB.",
    )


def _speed_fact(report: Report) -> Fact:
    latency = report["latency"]
    if latency is None:
        return Fact(DASH, "speed", "Latency was not measured.")
    if not latency["ratios"]:
        return Fact(DASH, "speed", "No two subjects were compared.")
    first = latency["ratios"][0]
    lengths = {NATURAL: "at natural lengths", PADDED: f"padded to {latency['padded_length']}"}
    if first["faster_lengths"] == first["slower_lengths"]:
        against = f"{first['faster']} against {first['slower']}, both "
        against += lengths[first["faster_lengths"]]
    else:
        against = f"{first['faster']} {lengths[first['faster_lengths']]} against "
        against += f"{first['slower']} {lengths[first['slower_lengths']]}"
    bounds = interval(first["low"], first["high"])
    sentence = f"Mean time per question, {against}; 95% interval {bounds}."
    if first["faster_lengths"] != first["slower_lengths"]:
        same = [
            f"{three_digits(other['ratio'])}{TIMES} with both {lengths[other['faster_lengths']]}"
            for other in latency["ratios"]
            if (other["faster"], other["slower"]) == (first["faster"], first["slower"])
            and other["faster_lengths"] == other["slower_lengths"]
        ]
        sentence += f" Like for like: {', '.join(same)}." if same else ""
    if latency["busy"]:
        sentence += " Read it with caution: see Latency."
    label = "faster" if first["ratio"] >= 1 else "the speed"
    return Fact(f"{three_digits(first['ratio'])}{TIMES}", label, sentence)


def _f1_fact(report: Report, file: File | None, teacher: Model | None) -> Fact:
    kept = value_of(file, "f1"), value_of(teacher, "f1")
    label = "of the teacher's F1 kept"
    if file is None or kept[0] is None or not kept[1]:
        return Fact(DASH, label, "F1 was not measured for both.")
    return Fact(
        f"{100 * kept[0] / kept[1]:.1f}%",
        label,
        f"{file['name']} has F1 {kept[0]:.1f}, the teacher {kept[1]:.1f}, "
        f"on {report['data']['eval']['name']}.",
    )


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
