# SPDX-License-Identifier: Apache-2.0
"""The document of the Android app's benchmark: the schema's types, and figures that Python makes.

The app's own test of a whole run writes `contract/android_benchmark.json`, with a model and a clock
that are the same every time: `mvn -pl app -am test -Dtest=BenchmarkActivityTest
-Dgolden.write=true` in android_demo. `contract/android_benchmark_1.json` is a document of schema
version 1, which the app wrote before; both must be read.
"""

from __future__ import annotations

import copy
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from app_document import without_bounds
from repository import CONTRACT

from benchmarks import compare
from benchmarks.device.app_protocol import Start
from benchmarks.measure import latency
from benchmarks.measure.schema import NATURAL, PADDED, VERSION, read

GOLDEN = CONTRACT / "android_benchmark.json"
FORMER = CONTRACT / "android_benchmark_1.json"

# Sums are rounded in another order, and samples to four decimals, which these have anyway.
TOLERANCE = 1e-9


def stored(path: Path) -> dict[str, Any]:
    """A document as the app wrote it."""
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


@pytest.fixture(params=[GOLDEN, FORMER], ids=["current", "former"])
def document(request: pytest.FixtureRequest) -> Any:
    return read(stored(request.param))


def test_is_of_the_schema(document: dict[str, Any]) -> None:
    assert document["schema_version"] == VERSION
    assert document["device"]["before"]["thermal_status"] == 0
    assert document["device"]["after"]["thermal_status"] == 1


@pytest.mark.parametrize("missing", ["device", "runs", "queries"])
def test_a_missing_part_is_seen(document: dict[str, Any], missing: str) -> None:
    broken = copy.deepcopy(document)
    del broken[missing]
    with pytest.raises(ValueError, match=missing):
        read(broken)


def test_figures_are_those_of_python(document: dict[str, Any]) -> None:
    (run,) = document["runs"]
    measured = run["latency"]
    rounds = measured["rounds"]
    ((name, samples),) = measured["samples_ms"].items()
    subject = measured["subjects"][name]
    for lengths in (NATURAL, PADDED):
        assert len(samples[lengths]) == rounds * measured["queries"]
        _same(subject[lengths], asdict(latency.summarize(samples[lengths], rounds=rounds)))
        overhead = run["overhead"][name][lengths]
        outside = 0.0
        for phase in ("tokenize", "decode"):
            times = overhead["samples_ms"][phase]
            _same(overhead[phase], asdict(latency.summarize(times, rounds=rounds)))
            outside += sum(times)
        share = 100 * outside / (outside + sum(samples[lengths]))
        assert overhead["share_percent"] == pytest.approx(share, rel=TOLERANCE)
    (ratio,) = measured["ratios"]
    expected = latency.ratio(samples[PADDED], samples[NATURAL], document["seed"], rounds=rounds)
    assert (ratio["ratio"], ratio["low"], ratio["high"]) == pytest.approx(expected, rel=TOLERANCE)
    flat = {f"{name} {lengths}": each for lengths, each in samples.items()}
    assert measured["busy"] == latency.busy(flat, rounds=rounds)
    assert measured["mean_tokens"] == pytest.approx(
        sum(document["queries"]["tokens"]) / measured["queries"], rel=TOLERANCE
    )


def test_says_when_figures_are_not_valid(document: dict[str, Any]) -> None:
    (run,) = document["runs"]
    measured = run["latency"]
    queries = measured["rounds"] * measured["queries"]
    stream = latency.Stream({}, measured["rounds"], queries, run["seconds"])
    assert run["too_short"] == stream.too_short
    assert not document["valid"]
    assert measured["method"].startswith(f"NOT VALID ({stream.too_short}): single stream")


def test_tells_the_command_that_starts_it(document: dict[str, Any]) -> None:
    start = Start("golden", runs=24, seconds=0, threads=2, seed=7)
    assert document["command"] == " ".join(["am", *start.arguments()])


def test_is_compared(document: dict[str, Any], tmp_path: Path) -> None:
    slower = copy.deepcopy(document)
    for each in slower["runs"][0]["latency"]["samples_ms"].values():
        for lengths, times in each.items():
            each[lengths] = [1.5 * time for time in times]
    path = tmp_path / "slower.json"
    path.write_text(json.dumps(slower))
    assert compare.main([str(GOLDEN), str(GOLDEN)]) == 0
    assert compare.main([str(GOLDEN), str(path)]) == 1


def test_intervals_that_the_app_leaves_out_are_computed(document: dict[str, Any]) -> None:
    short = without_bounds(document)
    before = copy.deepcopy(short)
    assert short != document and "mean_low" not in json.dumps(short)
    again: Any = read(short)
    assert short == before, "what is read is not changed"
    (one,), (other,) = again["runs"], document["runs"]
    for name, subject in one["latency"]["subjects"].items():
        for lengths in (NATURAL, PADDED):
            _same(subject[lengths], other["latency"]["subjects"][name][lengths])
            for phase in ("tokenize", "decode"):
                overhead = (run["overhead"][name][lengths][phase] for run in (one, other))
                _same(*overhead)
    for mine, theirs in zip(one["latency"]["ratios"], other["latency"]["ratios"], strict=True):
        for figure in ("ratio", "low", "high"):
            assert mine[figure] == pytest.approx(theirs[figure], rel=TOLERANCE)


def test_intervals_need_samples(document: dict[str, Any]) -> None:
    short = without_bounds(document)
    for each in short["runs"][0]["latency"]["samples_ms"].values():
        each.clear()
    with pytest.raises(ValueError, match="mean_low: missing"):
        read(short)


def test_a_document_of_version_1_has_its_scores_by_metric() -> None:
    former: Any = stored(FORMER)
    (file,) = former["files"]
    current = read(former)
    assert former["schema_version"] == 1 and current["schema_version"] == VERSION
    assert [metric["name"] for metric in current["metrics"]] == ["f1", "exact_match"]
    assert current["files"][0]["scores"] == {"f1": file["f1"], "exact_match": file["exact_match"]}
    assert current["queries"]["count"] == former["queries"]["asked"]
    assert current["runs"][0]["overhead"] == former["runs"][0]["around"]


def test_a_document_of_version_2_has_no_errors_of_logits() -> None:
    former: Any = stored(GOLDEN)
    current = read(former)
    assert former["schema_version"] == 2 and current["schema_version"] == VERSION
    for subject in current["runs"][0]["latency"]["subjects"].values():
        assert subject["logit_error"] is None


def _same(found: dict[str, float], expected: dict[str, float]) -> None:
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, rel=TOLERANCE)
