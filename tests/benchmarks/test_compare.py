# SPDX-License-Identifier: Apache-2.0
"""Regressions: found where they are, not where noise is, and bad input is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_fixtures import MACHINE, START, skeleton
from report_fixtures import make_report

from benchmarks import compare

ROUNDS, QUERIES = 3, 200
TOKENS = [int(n) for n in np.random.default_rng(0).integers(50, 300, QUERIES)]


def samples(factor: float, noise: float, seed: int) -> list[float]:
    """Round-major times that grow with the tokens."""
    generator = np.random.default_rng(seed)
    times = np.tile(np.asarray(TOKENS) * 0.05 * factor, ROUNDS)
    return [float(t) for t in times * np.exp(generator.normal(0, noise, times.size))]


def document(factor: float = 1.0, noise: float = 0.02, seed: int = 1) -> dict[str, Any]:
    """A benchmark of one file, `factor` times as slow as usual."""
    timed = {
        "method": "single stream",
        "threads": 1,
        "queries": QUERIES,
        "rounds": ROUNDS,
        "padded_length": 384,
        "mean_tokens": 150.0,
        "busy": None,
        "subjects": {
            "student.tflite": {
                **{key: START[key] for key in list(START)[:4]},
                "path": "a/student.tflite",
                "natural": None,
                "padded": None,
                "logit_error": None,
            }
        },
        "ratios": [],
        "samples_ms": {
            "student.tflite": {
                "natural": samples(factor, noise, seed),
                "padded": samples(2.0, noise, seed + 1),
            }
        },
    }
    return skeleton(
        queries={
            "source": "squad",
            "sha256": None,
            "count": QUERIES,
            "available": None,
            "tokens": TOKENS,
        },
        files=[
            {
                "name": "student.tflite",
                "path": "a/student.tflite",
                "bytes": 1000,
                "sha256": None,
                "parts": {"embeddings": 600, "rest": 400},
                "scores": {"f1": 80.0, "exact_match": 70.0},
            }
        ],
        runs=[
            {
                "threads": 1,
                "seconds": 61.0,
                "too_short": None,
                "latency": timed,
                "overhead": {},
                "memory": {"student.tflite": dict(START)},
                "weight_cache": {"student.tflite": dict(START)},
            }
        ],
    )


@pytest.fixture
def held(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, list[str], str]]:
    """Compares two documents: exit code, lines with a verdict, everything printed."""

    def call(old: Any, new: Any, *flags: str) -> tuple[int, list[str], str]:
        paths = [tmp_path / "old.json", tmp_path / "new.json"]
        for path, value in zip(paths, (old, new), strict=True):
            path.write_text(value if isinstance(value, str) else json.dumps(value))
        code = compare.main([*map(str, paths), *flags])
        printed = "".join(capsys.readouterr())
        worse = [line for line in printed.splitlines() if line.endswith("WORSE")]
        return code, worse, printed

    return call


def test_the_same_is_no_regression(held: Any) -> None:
    code, worse, printed = held(document(), document(seed=9))
    assert (code, worse) == (0, [])
    assert "nothing became worse by more than 5 %" in printed
    assert "caution" not in printed


def test_a_slower_file_is_a_regression_with_its_interval(held: Any) -> None:
    code, worse, printed = held(document(), document(factor=1.08, seed=9))
    assert code == 1 and len(worse) == 1
    assert worse[0].split()[:5] == ["mean", "ms", "1", "student.tflite", "natural"]
    low, high = (float(worse[0].split()[place]) for place in (-4, -2))
    # 200 queries, 3 rounds, 2 % noise on both sides: half an interval is about 0.3
    assert low < 8.0 < high and high - low < 1.5
    assert "1 became worse" in printed


def test_a_faster_file_is_better(held: Any) -> None:
    code, _, printed = held(document(), document(factor=0.5, seed=9))
    assert code == 0 and "better" in printed


def test_the_threshold_decides(held: Any) -> None:
    slower = document(factor=1.08, seed=9)
    assert held(document(), slower, "--threshold", "10")[0] == 0
    assert held(document(), slower, "--threshold", "0")[0] == 1


def test_growth_that_noise_explains_is_unclear(held: Any) -> None:
    old, new = document(noise=2.0, seed=1), document(factor=1.3, noise=2.0, seed=2)
    code, _, printed = held(old, new)
    assert code == 0 and "unclear" in printed


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("files", 0), {"bytes": 1100, "parts": None}, "bytes"),
        (
            ("files", 0),
            {"bytes": 1040, "parts": {"embeddings": 640, "rest": 400}},
            "bytes, embeddings",
        ),
        (("files", 0, "scores", "f1"), 75.0, "F1, %"),
        (("files", 0, "scores", "exact_match"), 60.0, "Exact match, %"),
        (
            ("runs", 0, "memory", "student.tflite", "peak_rss_bytes"),
            170_000_000,
            "peak bytes",
        ),
        (
            ("runs", 0, "weight_cache", "student.tflite", "private_bytes"),
            99_000_000,
            "private bytes",
        ),
    ],
)
def test_size_memory_and_accuracy_are_judged(
    held: Any, path: tuple[Any, ...], value: Any, said: str
) -> None:
    new = copy.deepcopy(document())
    place: Any = new
    for key in path[:-1]:
        place = place[key]
    if isinstance(value, dict):
        place[path[-1]].update(value)
    else:
        place[path[-1]] = value
    code, worse, _ = held(document(), new)
    assert code == 1 and len(worse) == 1 and worse[0].startswith(said)
    assert held(new, document())[0] == 0  # and the other way round it is better


def test_noisy_starts_are_told_and_not_judged(held: Any) -> None:
    new = document()
    new["runs"][0]["memory"]["student.tflite"]["load_ms"] = 200.0
    code, worse, printed = held(document(), new)
    assert (code, worse) == (0, []) and "+900.0" in printed


def test_short_runs_other_machines_and_other_queries_are_told(held: Any) -> None:
    new = document()
    new["machine"] = {**MACHINE, "cpu": "Other"}
    new["warnings"] = ["the machine was busy"]
    new["queries"]["tokens"] = [1, *TOKENS[1:]]
    new["runs"][0]["too_short"] = "16 queries"
    new["valid"] = False
    code, _, printed = held(document(), new)
    assert code == 0
    for said in ("Example CPU before, Other now", "NEW: the machine was busy", "other queries"):
        assert said in printed
    assert "NEW: NOT VALID with 1 threads: 16 queries" in printed
    assert printed.rstrip().endswith("(NOT VALID)")


def test_other_instruction_sets_are_compared_only_when_asked_to(held: Any) -> None:
    new = document()
    new["machine"] = {**MACHINE, "flags": ["avx2"]}
    code, _, printed = held(document(), new)
    assert code == 2
    for said in ("x86_64 with AVX2 and AVX512-VNNI, NEW of x86_64 with AVX2:", "give --across"):
        assert said in printed
    assert held(document(), new, "--across")[0] == 0
    unknown = {**document(), "machine": {**MACHINE, "flags": []}}
    assert held(document(), unknown)[0] == 0


def test_other_queries_widen_the_interval() -> None:
    def half_width(queries: Any) -> float:
        place = ("mean ms", 1, "a", "natural")
        old = compare.Measured({place: samples(1, 0.02, 1)[:QUERIES]}, queries=[1])
        new = compare.Measured({place: samples(1, 0.02, 2)[:QUERIES]}, queries=queries)
        (change,) = compare.compare(old, new, 5)
        assert change.low is not None and change.high is not None
        return change.high - change.low

    assert half_width([2]) > 5 * half_width([1])


def test_a_file_that_is_gone_is_told(held: Any) -> None:
    old = document()
    timed = old["runs"][0]["latency"]
    for each in (timed["samples_ms"], timed["subjects"]):
        each["other.onnx"] = each["student.tflite"]
    old["files"].append({**old["files"][0], "name": "other.onnx"})
    code, _, printed = held(old, document())
    assert code == 0 and "not in NEW: other.onnx" in printed


def test_reports_of_builds_are_compared_too(held: Any) -> None:
    def report(factor: float) -> dict[str, Any]:
        return {**make_report(), "latency": document(factor)["runs"][0]["latency"]}

    assert held(report(1.0), report(1.0))[0] == 0
    assert held(report(1.0), report(1.2))[0] == 1


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("", "cannot read"),
        ("[]", "is no benchmark"),
        ("{}", "is no benchmark and no report.json with latency: the report cannot be used: "),
        (
            '{"kind": "benchmark", "schema_version": 7}',
            "schema_version is 7, and this release reads 1, 2 and 3",
        ),
        (
            json.dumps(make_report() | {"latency": {"threads": "1"}}),
            "latency.method: missing",
        ),
        (json.dumps(make_report() | {"latency": None}), "its latency is null"),
    ],
)
def test_bad_input_is_refused(held: Any, new: str, said: str) -> None:
    code, _, printed = held(document(), new)
    assert code == 2 and said in printed and printed.count("\n") == 1


@pytest.mark.parametrize("place", ["old", "new"])
@pytest.mark.parametrize("value", [1.7e308, 1e16, 1e-300])
def test_times_that_no_ratio_can_hold_are_refused_in_one_line(
    held: Any, place: str, value: float
) -> None:
    damaged = document()
    times = damaged["runs"][0]["latency"]["samples_ms"]["student.tflite"]["padded"]
    times[::QUERIES] = [value] * ROUNDS  # the same query in every round
    pair = (damaged, document()) if place == "old" else (document(), damaged)
    code, _, printed = held(*pair)
    assert code == 2 and printed.count("\n") == 1 and "inf" not in printed
    assert f"{place}.json says that mean ms of student.tflite is {value:g}" in printed


def test_figures_that_overflow_are_refused_and_growth_from_zero_is_no_number(held: Any) -> None:
    old, new = document(), document()
    new["runs"][0]["memory"]["student.tflite"]["first_ms"] = 1e308
    code, _, printed = held(old, new)
    assert code == 2 and "first ms of student.tflite is 1e+308" in printed
    old["runs"][0]["memory"]["student.tflite"]["first_ms"] = 0.0
    new["runs"][0]["memory"]["student.tflite"]["first_ms"] = 7.0
    code, _, printed = held(old, new)
    assert code == 0 and "from 0" in printed and "inf" not in printed


@pytest.mark.parametrize(
    ("now", "more_is_better", "verdict"),
    [
        (-20.0, True, compare.WORSE),  # Matthews' of a classifier that always said one class is 0
        (20.0, True, compare.BETTER),
        (20.0, False, compare.WORSE),
        (0.0, True, compare.SAME),
    ],
)
def test_a_figure_that_was_zero_is_judged_by_its_sign(
    now: float, more_is_better: bool, verdict: str
) -> None:
    place = ("score, %", None, "a", "")
    assert compare._single(place, 0.0, now, 5, more_is_better).verdict == verdict


def test_samples_that_are_no_whole_rounds_are_refused(held: Any) -> None:
    new = document()
    new["runs"][0]["latency"]["samples_ms"]["student.tflite"]["natural"].pop()
    code, _, printed = held(document(), new)
    assert code == 2
    assert "samples_ms.student.tflite.natural: got 599 samples, must be 600" in printed


def test_scores_by_other_metrics_are_refused_in_one_line(held: Any) -> None:
    new = document()
    new["metrics"] = [{"name": "accuracy", "label": "Accuracy", "unit": "%"}]
    new["files"][0]["scores"] = {"accuracy": 80.0}
    code, _, printed = held(document(), new)
    assert code == 2 and printed.count("\n") == 1
    assert "F1, %, Exact match, % before and Accuracy, % now" in printed
    new["metrics"], new["files"][0]["scores"] = [], None
    assert held(document(), new)[0] == 0  # there is no score to compare


def test_a_document_of_an_older_schema_is_compared(held: Any) -> None:
    old = document()
    (file,) = old["files"]
    file |= file.pop("scores")
    old["queries"]["asked"] = old["queries"].pop("count")
    old["runs"][0]["around"] = old["runs"][0].pop("overhead")
    del old["metrics"]
    new = document()
    new["files"][0]["scores"]["f1"] = 60.0
    code, worse, _ = held(old | {"schema_version": 1}, new)
    assert code == 1 and len(worse) == 1 and worse[0].startswith("F1, %")


def test_nothing_in_common_is_refused(held: Any) -> None:
    new = document()
    new["runs"][0]["latency"]["threads"] = 2
    code, _, printed = held(document(), new)
    assert code == 2 and "no file was timed in both" in printed


def test_missing_files_and_thresholds_are_refused(tmp_path: Path) -> None:
    assert compare.main([str(tmp_path / "no.json"), str(tmp_path / "no.json")]) == 2
    with pytest.raises(SystemExit) as stopped:
        compare.main(["a", "b", "--threshold", "-1"])
    assert stopped.value.code == 2
