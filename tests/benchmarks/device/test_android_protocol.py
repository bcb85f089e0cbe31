# SPDX-License-Identifier: Apache-2.0
"""The document of the Android app's benchmark: the schema's types, and figures that Python makes.

`golden/android_benchmark.json` is written by the app's own test of a whole run, with a model and a
clock that are the same every time: `mvn -pl app -am test -Dtest=BenchmarkActivityTest
-Dgolden.write=true` in android_demo.
"""

from __future__ import annotations

import copy
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from repository import CONTRACT

from benchmarks import compare
from benchmarks.device.app_protocol import Start
from benchmarks.measure import latency
from benchmarks.measure.schema import NATURAL, PADDED, validate

GOLDEN = CONTRACT / "android_benchmark.json"

# Sums are rounded in another order, and samples to four decimals, which these have anyway.
TOLERANCE = 1e-9


@pytest.fixture
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(GOLDEN.read_text("ascii"))
    return found


def test_is_of_the_schema(document: dict[str, Any]) -> None:
    validate(document)
    assert document["device"]["before"]["thermal_status"] == 0
    assert document["device"]["after"]["thermal_status"] == 1


@pytest.mark.parametrize("missing", ["device", "runs", "queries"])
def test_a_missing_part_is_seen(document: dict[str, Any], missing: str) -> None:
    broken = copy.deepcopy(document)
    del broken[missing]
    with pytest.raises(ValueError, match=missing):
        validate(broken)


def test_figures_are_those_of_python(document: dict[str, Any]) -> None:
    (run,) = document["runs"]
    measured = run["latency"]
    rounds = measured["rounds"]
    ((name, samples),) = measured["samples_ms"].items()
    subject = measured["subjects"][name]
    for lengths in (NATURAL, PADDED):
        assert len(samples[lengths]) == rounds * measured["queries"]
        _same(subject[lengths], asdict(latency.summarize(samples[lengths], rounds=rounds)))
        around = run["around"][name][lengths]
        outside = 0.0
        for phase in ("tokenize", "decode"):
            times = around["samples_ms"][phase]
            _same(around[phase], asdict(latency.summarize(times, rounds=rounds)))
            outside += sum(times)
        share = 100 * outside / (outside + sum(samples[lengths]))
        assert around["share_percent"] == pytest.approx(share, rel=TOLERANCE)
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


def _same(found: dict[str, float], expected: dict[str, float]) -> None:
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, rel=TOLERANCE)
