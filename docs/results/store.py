# SPDX-License-Identifier: Apache-2.0
"""Reads and writes docs/results.json: each figure with its command, date and version.

    {"schema_version": 2,
     "builds": [{"experiment", "variant", "seed", "version", "command", "created", "data", "metrics",
                 "models", "files", "minutes", "facts", "machine", "versions", "latency"}, ...],
     "benchmarks": {NAME: what `python -m benchmarks.run` wrote, and "version"},
     "paper": {"table-3": what `python -m benchmarks.paper` wrote, and "version"},
     "experiments": {"glue" or "ablation": {"commands", "runs", "machine", "versions", "created",
                     "version"}},
     "facts": {NAME: {"value", "command", "created", "version"}}}

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
from pipeline.report.ending import REPORTED

DOCS = Path(__file__).resolve().parent.parent
FIGURES = DOCS / "results.json"
EMPTY: dict[str, Any] = {
    "schema_version": 2,
    "builds": [],
    "benchmarks": {},
    "paper": {},
    "experiments": {},
    "facts": {},
}


def load() -> dict[str, Any]:
    """All recorded figures."""
    found = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    return {**EMPTY, **found}


def save(results: Mapping[str, Any]) -> None:
    """Write the whole file, or keep the old one if that fails."""
    whole_file.write(FIGURES, json.dumps(results, ensure_ascii=False, indent=1) + "\n")


def add_build(name: str, variant: str, seed: int, command: str, report: Mapping[str, Any]) -> None:
    """Add or replace the figures of one build."""
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
    kept = [b for b in results["builds"] if any(b[key] != entry[key] for key in same)]
    save({**results, "builds": [*kept, entry]})


def add_document(kind: str, name: str, document: Mapping[str, Any]) -> None:
    """Add or replace a document of `benchmarks` or `paper`."""
    results = load()
    entry = {**without_samples(document), "version": __version__}
    save({**results, kind: {**results[kind], name: entry}})


def add_experiment(name: str, command: str, runs: Sequence[Mapping[str, Any]]) -> None:
    """Add or replace the runs of an experiment; the commands that made them are listed."""
    results = load()
    before = results["experiments"].get(name, {}).get("commands", [])
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
    save({**results, "experiments": {**results["experiments"], name: entry}})


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
    """A document without the times and lengths of single queries."""
    if isinstance(value, Mapping):
        return {
            k: without_samples(v) for k, v in value.items() if k not in ("samples_ms", "tokens")
        }
    return [without_samples(each) for each in value] if isinstance(value, list) else value


def is_recorded(kind: str, name: str) -> bool:
    """Whether this version of the project recorded a document or a fact."""
    return bool(load()[kind].get(name, {}).get("version") == __version__)


def is_built(name: str, variant: str, seed: int) -> bool:
    """Whether this version of the project recorded a build."""
    wanted = (name, variant, seed, __version__)
    keys = ("experiment", "variant", "seed", "version")
    return any(tuple(build[key] for key in keys) == wanted for build in load()["builds"])
