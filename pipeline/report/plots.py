# SPDX-License-Identifier: Apache-2.0
"""The report's plots: which figures go into which drawing of `benchmarks.page.plots`."""

from __future__ import annotations

from benchmarks.measure.schema import NATURAL, PADDED, Lengths, Subject
from benchmarks.page.layout import Plot, number
from benchmarks.page.plots import (
    Bar,
    Curve,
    Scored,
    Timed,
    accuracy,
    bars,
    curves,
    distribution,
)
from benchmarks.page.scores import first_score
from pipeline.report.headline import headline_file
from pipeline.report.schema import Report
from pipeline.report.tables import scored


def plots(report: Report) -> list[Plot]:
    """The plots that the report's figures allow."""
    drawn = [
        _accuracy(report),
        _sizes(report),
        _distribution(report, NATURAL),
        _distribution(report, PADDED),
        _losses(report),
        _evaluations(report),
    ]
    return [plot for plot in drawn if plot]


def _sizes(report: Report) -> Plot | None:
    entries = [*report["models"], *report["files"]]
    labels = number("", [entry["bytes"] / 1e6 for entry in entries]).cells
    shown = [
        Bar(entry["name"], f"{label} MB", [(_role(report, entry["name"]), entry["bytes"])])
        for entry, label in zip(entries, labels, strict=True)
    ]
    return bars("Size", "Models in PyTorch and exported files, in MB.", shown)


def _accuracy(report: Report) -> Plot | None:
    shown = []
    for name, subject in _subjects(report).items():
        score = first_score(report["metrics"], scored(report, name))
        if score is not None:
            natural, padded = (
                times["p50"] if (times := subject[lengths]) else None
                for lengths in (NATURAL, PADDED)
            )
            shown.append(Scored(name, _role(report, name), score, natural, padded))
    return accuracy(report["metrics"][0], shown) if shown else None


def _distribution(report: Report, lengths: Lengths) -> Plot | None:
    latency = report["latency"]
    if latency is None:
        return None
    every = [t for s in _subjects(report).values() for t in (s["natural"], s["padded"]) if t]
    shown = [
        Timed(name, _role(report, name), times, latency["samples_ms"].get(name, {}).get(lengths))
        for name, subject in _subjects(report).items()
        if (times := subject[lengths])
    ]
    kind = "natural lengths" if lengths == NATURAL else f"padded to {latency['padded_length']}"
    ends = [times[end] for times in every for end in ("min", "max")]
    return distribution(f"Latency, {kind}", shown, ends)


def _losses(report: Report) -> Plot | None:
    """The loss of each training over its steps."""
    shown = []
    for stage in report["stages"]:
        logged = stage.get("losses", [])
        if len(logged) > 1:
            last = logged[-1]["step"]
            line = [(100.0 * each["step"] / last, each["loss"]) for each in logged]
            role = {"teacher": "teacher", "student": "accent"}.get(stage["name"], "other")
            shown.append(Curve(stage["name"], role, line))
    caption = "The loss of each training, logarithmic, over its steps in percent."
    return curves("Loss in training", caption, shown)


def _evaluations(report: Report) -> Plot | None:
    """The score of each training over its steps, where the settings ask for scores."""
    shown, labels = [], set()
    known = {metric["name"]: metric["label"] for metric in report["metrics"]}
    for stage in report["stages"]:
        if scores := stage.get("evaluations", []):
            line = [(float(each["step"]), each["score"]) for each in scores]
            name, ended = stage["name"], stage["facts"].get("ended_early")
            role = {"teacher": "teacher", "student": "accent"}.get(name, "other")
            shown.append(Curve(f"{name}, ended early" if ended else name, role, line, line))
            labels |= {known.get(each["metric"], each["metric"]) for each in scores}
    caption = f"{' and '.join(sorted(labels))} on some evaluation examples, over optimizer steps."
    return curves("Score in training", caption, shown, linear=True)


def _role(report: Report, name: str) -> str:
    """The color of a subject: the file that the report is about, the teacher, any other."""
    file = headline_file(report)
    if file and name == file["name"]:
        return "accent"
    return "teacher" if name.partition("-fp32")[0] == "teacher" else "other"


def _subjects(report: Report) -> dict[str, Subject]:
    return report["latency"]["subjects"] if report["latency"] else {}
