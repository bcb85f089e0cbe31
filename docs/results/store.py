# SPDX-License-Identifier: Apache-2.0
"""docs/results.json: what was measured, by which command, when, with which version.

    {"schema_version": 2,
     "builds": [{"experiment", "variant", "seed", "version", "command", "created", "data", "metrics",
                 "models", "files", "minutes", "facts", "machine", "versions", "latency"}, ...],
     "benchmarks": {NAME: what `python -m benchmarks.run` wrote, and "version"},
     "paper": {"table-3": what `python -m benchmarks.paper` wrote, and "version"},
     "facts": {NAME: {"value", "command", "created", "version"}}}

Raw samples are left out: they stay with whoever measured. A build has the figures of its report.json
under the report's names, minutes of all its stages, and `latency` where it was timed.  A fact's
value is one figure as the pages print it, a text (what a command printed) or a table (rows of
cells, the first the header).
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converters import whole_file
from pipeline import __version__

DOCS = Path(__file__).resolve().parent.parent
FIGURES = DOCS / "results.json"
EMPTY: dict[str, Any] = {
    "schema_version": 2,
    "builds": [],
    "benchmarks": {},
    "paper": {},
    "facts": {},
}


def load() -> dict[str, Any]:
    """All that is recorded."""
    found = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    return {**EMPTY, **found}


def save(results: Mapping[str, Any]) -> None:
    """Writes the whole file, or leaves the old one."""
    whole_file.write(FIGURES, json.dumps(results, ensure_ascii=False, indent=1) + "\n")


def add_build(name: str, variant: str, seed: int, command: str, report: Mapping[str, Any]) -> None:
    """Adds or replaces one build's figures."""
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
    """Adds or replaces a document of `benchmarks` or `paper`."""
    results = load()
    entry = {**without_samples(document), "version": __version__}
    save({**results, kind: {**results[kind], name: entry}})


def add_fact(name: str, value: Any, command: str) -> None:
    """Adds or replaces what is known from a command's output."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    fact = {"value": value, "command": command, "created": now, "version": __version__}
    results = load()
    save({**results, "facts": {**results["facts"], name: fact}})


def without_samples(value: Any) -> Any:
    """A document without the times of single queries and their lengths."""
    if isinstance(value, Mapping):
        return {
            k: without_samples(v) for k, v in value.items() if k not in ("samples_ms", "tokens")
        }
    return [without_samples(each) for each in value] if isinstance(value, list) else value


def is_recorded(kind: str, name: str) -> bool:
    """Whether a document or a fact is there, measured with this version of the project."""
    return bool(load()[kind].get(name, {}).get("version") == __version__)


def is_built(name: str, variant: str, seed: int) -> bool:
    """The same of a build."""
    wanted = (name, variant, seed, __version__)
    keys = ("experiment", "variant", "seed", "version")
    return any(tuple(build[key] for key in keys) == wanted for build in load()["builds"])
