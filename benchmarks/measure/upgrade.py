# SPDX-License-Identifier: Apache-2.0
"""Brings documents of older schemas to the current one, and completes those of a phone.

Nothing here checks a document: what does not fit is left for the check that follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from benchmarks.measure import latency

# The only metrics of documents that did not list theirs: of question answering.
FORMER_METRICS: Final = (
    {"name": "f1", "label": "F1", "unit": "%"},
    {"name": "exact_match", "label": "Exact match", "unit": "%"},
)

Step = Callable[[dict[str, Any]], dict[str, Any]]


def current(document: Any, kind: str, version: int, steps: Mapping[int, Step]) -> Any:
    """Bring a document to the current version.

    Args:
        document: what `json.load` returns; it is not changed.
        kind: what the message calls it.
        version: the current one.
        steps: by an older version, the function that makes a document of the next one.

    Raises:
        ValueError: one line: its version is not known, or an older one is damaged.
    """
    if not isinstance(document, dict) or document.get("schema_version") == version:
        return document
    found = document.get("schema_version")
    if type(found) is not int or found not in steps:
        known = f"{', '.join(map(str, sorted(steps)))} and {version}"
        raise ValueError(
            f"the {kind} cannot be used: schema_version is {found!r}, and this release reads "
            f"{known}: open it with the release that wrote it, or measure again"
        )
    while found in steps:
        try:
            document = {**steps[found](document), "schema_version": found + 1}
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(
                f"the {kind} cannot be used: it does not hold what schema version {found} asks for "
                f"({type(error).__name__}: {' '.join(str(error).split())})"
            ) from error
        found += 1
    return document


def benchmark(document: Any, version: int) -> Any:
    """Bring a benchmark to the current version; compute the intervals that a phone left out.

    Raises:
        ValueError: see `current`.
    """
    if not isinstance(document, dict) or document.get("kind") != "benchmark":
        return document  # something else, whose version says nothing
    document = current(document, "benchmark", version, {1: _benchmark_1, 2: _benchmark_2})
    try:
        return {**document, "runs": [_completed(run, document["seed"]) for run in document["runs"]]}
    except (AttributeError, KeyError, TypeError, ValueError):
        return document  # damaged: the check says where


def _benchmark_1(document: dict[str, Any]) -> dict[str, Any]:
    """Version 2 has scores by metric, and other names for two keys."""
    queries, files = document["queries"], document["files"]
    return {
        **document,
        "queries": {("count" if key == "asked" else key): queries[key] for key in queries},
        "metrics": former_metrics(files),
        "files": [with_scores(file) for file in files],
        "runs": [
            {("overhead" if key == "around" else key): run[key] for key in run}
            for run in document["runs"]
        ],
    }


def _benchmark_2(document: dict[str, Any]) -> dict[str, Any]:
    """Version 3 says how far the logits of each subject are from its reference."""
    runs = [{**run, "latency": with_logit_errors(run["latency"])} for run in document["runs"]]
    return {**document, "runs": runs}


def with_logit_errors(timed: Mapping[str, Any]) -> dict[str, Any]:
    """A latency of a document that has no errors of logits: none was measured."""
    subjects = timed["subjects"]
    return {
        **timed,
        "subjects": {name: {**one, "logit_error": None} for name, one in subjects.items()},
    }


def former_metrics(*entries: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The metrics of a document that did not list them; none where nothing was scored."""
    scored = any(with_scores(entry)["scores"] is not None for each in entries for entry in each)
    return [dict(metric) for metric in FORMER_METRICS] if scored else []


def with_scores(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A file or model with its two scores as `scores`; null where one of them is."""
    names = [metric["name"] for metric in FORMER_METRICS]
    scores = {name: entry[name] for name in names}
    kept = {key: entry[key] for key in entry if key not in names}
    return {**kept, "scores": None if None in scores.values() else scores}


def _completed(run: dict[str, Any], seed: int) -> dict[str, Any]:
    """A run with the intervals of its summaries and ratios, where they are missing."""
    timed = run["latency"]
    rounds, samples = timed["rounds"], timed["samples_ms"]
    subjects = {
        name: _with_summaries(subject, samples.get(name, {}), rounds)
        for name, subject in timed["subjects"].items()
    }
    overhead = {
        name: {
            lengths: _with_summaries(one, one["samples_ms"], rounds)
            for lengths, one in each.items()
        }
        for name, each in run["overhead"].items()
    }
    ratios = [_ratio(one, samples, rounds, seed) for one in timed["ratios"]]
    latencies = {**timed, "subjects": subjects, "ratios": ratios}
    return {**run, "latency": latencies, "overhead": overhead}


def _with_summaries(
    entry: dict[str, Any], samples: Mapping[str, Sequence[float]], rounds: int
) -> dict[str, Any]:
    """An object whose summaries have bounds; `samples` are those of its keys."""
    return {
        key: _summary(part, samples[key], rounds) if key in samples else part
        for key, part in entry.items()
    }


def _summary(summary: Any, samples: Sequence[float], rounds: int) -> Any:
    """A summary with the bounds of its mean and median; null stays null."""
    if summary is None:
        return None
    names = [field for field in latency.Summary.__dataclass_fields__ if field not in summary]
    if not names or not all(name.endswith(("_low", "_high")) for name in names):
        return summary
    found = asdict(latency.summarize(samples, rounds=rounds))
    return {**{name: summary.get(name, found[name]) for name in found}, **summary}


def _ratio(one: dict[str, Any], samples: Any, rounds: int, seed: int) -> dict[str, Any]:
    """A ratio with its bounds."""
    if "low" in one or "high" in one:
        return one
    slower = samples[one["slower"]][one["slower_lengths"]]
    faster = samples[one["faster"]][one["faster_lengths"]]
    _, low, high = latency.ratio(slower, faster, seed, rounds=rounds)
    return {**one, "low": low, "high": high}
