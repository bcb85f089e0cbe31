# SPDX-License-Identifier: Apache-2.0
"""Reads and writes docs/results.json: each figure with its command, date and version.

    {"schema_version": 3,
     "builds": [{"experiment", "variant", "seed", "version", "command", "created", "data", "metrics",
                 "models", "files", "minutes", "facts", "machine", "versions", "latency"}, ...],
     "benchmarks": {NAME: {CLASS: what `python -m benchmarks.run` wrote, and "version"}},
     "paper": {"table-3": {CLASS: what `python -m benchmarks.paper` wrote, and "version"}},
     "training": {NAME: {CLASS: what `python -m benchmarks.training` or `benchmarks.stream` wrote, and "version"}},
     "experiments": {"glue" or "ablation": {CLASS: {"commands", "runs", "machine", "versions",
                     "created", "version"}}},
     "facts": {NAME: {"value", "command", "created", "version"}}}

CLASS is the class of processor (`class_of`): times of two classes do not compare, so a record replaces
the older one of its own class only, also among the builds. The first class that was recorded is the
one whose figures stand in sentences. A fact has no class: the last one that was recorded counts.

The file contains no raw samples. A build has the figures of its report.json under the same names,
the minutes of all its stages, and `latency` if it was timed. The value of a fact is one figure as the
pages print it, a text that a command printed, or a table as rows of cells with the header first.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import machine
from converters import whole_file
from pipeline import __version__
from pipeline.report.environment import REPORTED

DOCS = Path(__file__).resolve().parent.parent
FIGURES = DOCS / "results.json"
EMPTY: dict[str, Any] = {
    "schema_version": 3,
    "builds": [],
    "benchmarks": {},
    "paper": {},
    "training": {},
    "experiments": {},
    "facts": {},
}


# The kinds of records that have an entry for each class of processor.
BY_CLASS = ("benchmarks", "paper", "training", "experiments")

# The keys of raw samples.
SAMPLES = ("samples_ms", "tokens", "turns")

# The class of a machine that does not list the features of its processor.
UNKNOWN = "an unknown instruction set"


def class_of(entry: Mapping[str, Any]) -> str:
    """The class of the processor behind a record; a phone is a class of its own."""
    if device := entry.get("device"):
        return f"{device['manufacturer']} {device['model']}"
    return machine.instructions(entry["machine"]) or UNKNOWN


def here() -> str:
    """The class of this machine's processor."""
    return class_of({"machine": machine.describe()})


def load() -> dict[str, Any]:
    """All recorded figures, also those of schema version 2, which kept one class of each name."""
    found = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    if found.get("schema_version") == 2:
        former = {kind: found.get(kind, {}) for kind in BY_CLASS}
        found |= {
            kind: {name: {class_of(entry): entry} for name, entry in entries.items()}
            for kind, entries in former.items()
        }
    return {**EMPTY, **found, "schema_version": EMPTY["schema_version"]}


def save(results: Mapping[str, Any]) -> None:
    """Write the whole file, or keep the old one if that fails."""
    whole_file.write(FIGURES, json.dumps(results, ensure_ascii=False, indent=1) + "\n")


def add_build(name: str, variant: str, seed: int, command: str, report: Mapping[str, Any]) -> None:
    """Add the figures of one build, or replace those of the same build on the same class."""
    entry = {
        "experiment": name,
        "variant": variant,
        "seed": seed,
        "version": __version__,
        "command": command,
        "created": report["created"],
        "data": report["data"],
        "metrics": report["metrics"],
        "models": report["models"],
        "files": report["files"],
        "minutes": round(sum(s["seconds"] for s in report["stages"]) / 60, 1),
        "facts": {s["name"]: s["facts"] for s in report["stages"]},
        "machine": report["machine"],
        "versions": report["versions"],
    }
    if report["latency"]:
        entry["latency"] = without_samples(report["latency"])
    same = ("experiment", "variant", "seed")
    results = load()
    builds = list(results["builds"])
    place = next(
        (
            place
            for place, build in enumerate(builds)
            if all(build[key] == entry[key] for key in same) and class_of(build) == class_of(entry)
        ),
        len(builds),
    )
    builds[place : place + 1] = [entry]  # in its old place: the first class stands in sentences
    save({**results, "builds": builds})


def add_document(kind: str, name: str, document: Mapping[str, Any]) -> None:
    """Add a document of `benchmarks`, `paper` or `training`, or replace that of the same class."""
    _put(load(), kind, name, {**without_samples(document), "version": __version__})


def _put(results: Mapping[str, Any], kind: str, name: str, entry: Mapping[str, Any]) -> None:
    """Save an entry; the others of its name are kept where their class is another one."""
    entries = {**results[kind].get(name, {}), class_of(entry): entry}
    save({**results, kind: {**results[kind], name: entries}})


def add_experiment(name: str, command: str, runs: Sequence[Mapping[str, Any]]) -> None:
    """Add the runs of an experiment, or replace those of this class, and list their commands."""
    results = load()
    before = results["experiments"].get(name, {}).get(here(), {}).get("commands", [])
    entry = {
        "commands": [*dict.fromkeys([*before, command])],
        "runs": [
            {**run, "arguments": [without_folder(part) for part in run["arguments"]]}
            for run in runs
        ],
        "machine": machine.describe(),
        "versions": {"python": sys.version.split()[0], **machine.versions(REPORTED)},
        "created": _now(),
        "version": __version__,
    }
    _put(results, "experiments", name, entry)


def without_folder(part: str) -> str:
    """An argument of a command; of an absolute path the last name alone."""
    return Path(part).name if part.startswith(os.sep) else part


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def add_fact(name: str, value: Any, command: str) -> None:
    """Add or replace a fact from the output of a command."""
    fact = {"value": value, "command": command, "created": _now(), "version": __version__}
    results = load()
    save({**results, "facts": {**results["facts"], name: fact}})


def without_samples(value: Any) -> Any:
    """A document without the times and lengths of single queries and of single steps."""
    if isinstance(value, Mapping):
        return {k: without_samples(v) for k, v in value.items() if k not in SAMPLES}
    return [without_samples(each) for each in value] if isinstance(value, list) else value


def is_recorded(kind: str, name: str) -> bool:
    """Whether this version of the project recorded a fact, or a document on this class."""
    entry = load()[kind].get(name, {})
    if kind in BY_CLASS:
        entry = entry.get(here(), {})
    return bool(entry.get("version") == __version__)


def is_built(name: str, variant: str, seed: int, *, timed: bool = False) -> bool:
    """Whether this version of the project recorded a build; a timed one on this class.

    The scores of a build hardly depend on the processor, its times do.
    """
    wanted = (name, variant, seed, __version__)
    keys = ("experiment", "variant", "seed", "version")
    return any(
        tuple(build[key] for key in keys) == wanted
        and (not timed or ("latency" in build and class_of(build) == here()))
        for build in load()["builds"]
    )
