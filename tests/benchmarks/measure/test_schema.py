# SPDX-License-Identifier: Apache-2.0
"""The schema of benchmarks: wrong fields are named, contradictions refused, the page of it true."""

from __future__ import annotations

import math
import re
import sys
from typing import Annotated, Any, Literal, TypedDict

import pytest
from benchmark_fixtures import benchmark, phone, skeleton
from repository import ROOT

from benchmarks.measure.schema import validate
from benchmarks.measure.typed import Count, Percent, Within, mismatches

DOCS = ROOT / "docs"


def changed(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The document with another value at a path; `...` deletes it."""
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return document


@pytest.mark.parametrize("document", [benchmark, phone, skeleton])
def test_what_fits_is_let_pass(document: Any) -> None:
    validate(document())


INT8 = "student-int8.tflite"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("kind",), "report", "kind: got 'report', must be \"benchmark\""),
        (("schema_version",), 2, "schema_version: got 2, must be 1"),
        (("valid",), 1, "valid: got 1, must be true or false"),
        (("warnings",), "busy", "warnings: got 'busy', must be a list"),
        (("machine", "cpu"), ..., "machine.cpu: missing (write null"),
        (("machine", "load_average"), [-1.0], "machine.load_average[0]: got -1.0, must be"),
        (("machine", "host"), "secret", "machine.host: unknown"),
        (("queries", "tokens", 3), 1.5, "queries.tokens[3]: got 1.5, must be an integer >= 0"),
        (("files", 0, "bytes"), -1, "files[0].bytes: got -1, must be an integer >= 0"),
        (("files", 0, "f1"), 101.0, "files[0].f1: got 101.0, must be a finite number from 0 to"),
        (("runs", 1, "seconds"), math.nan, "runs[1].seconds: got nan, must be a finite number"),
        (("runs", 0, "latency", "subjects", INT8, "natural", "p90"), ..., "natural.p90: missing"),
        (
            ("runs", 0, "latency", "samples_ms", INT8, "both"),
            [],
            'both\', must be "natural" or "padded"',
        ),
        (("runs", 0, "around", INT8, "natural", "share_percent"), "3", "must be a finite number"),
        (("runs", 0, "memory", INT8, "load_ms"), None, "memory.student-int8.tflite.load_ms: got"),
        (("runs", 0, "weight_cache", INT8, "first_ms"), -2, "weight_cache.student-int8.tflite.f"),
        (("device",), {}, "device.manufacturer: missing"),
        (("profiles",), [{}], "profiles[0].file: missing"),
        (("surplus",), 1, "surplus: unknown; allowed are kind, schema_version"),
    ],
)
def test_a_wrong_field_is_named(path: tuple[Any, ...], value: Any, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        validate(changed(benchmark(), path, value))
    message = str(caught.value)
    assert message.startswith("the benchmark cannot be used: ") and said in message
    assert "\n" not in message and len(message) < 1500


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("files", 1, "name"), INT8, "files: names must differ"),
        (("files", 0, "parts"), {"rest": 5}, "files[0].parts: they do not add up"),
        (("queries", "tokens"), [5], "queries.tokens: got 1, but 40 queries were asked"),
        (("runs", 0, "too_short"), "16 queries", "valid: got True, but runs[0].too_short says 16"),
        (("runs", 0, "latency", "queries"), 20, "rounds times queries"),
        (("runs", 0, "latency", "rounds"), 3, "got 80 samples, must be 120"),
        (("runs", 0, "latency", "ratios", 0, "slower"), "x", "latency.ratios[0]: no such subject"),
        (("runs", 0, "latency", "samples_ms", "x"), {}, "samples_ms.x: no such subject"),
        (("runs", 1, "weight_cache", "x"), None, "runs[1].weight_cache.x: no such file"),
        (("runs", 1, "around", "x"), {}, "runs[1].around.x: no such file"),
    ],
)
def test_contradictions_are_refused(path: tuple[Any, ...], value: Any, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        validate(changed(benchmark(), path, value))
    assert said in str(caught.value)


def test_profiles_are_of_files_that_are_there() -> None:
    with pytest.raises(ValueError, match=r"profiles\[0\]\.file: no such file: other\.tflite"):
        validate(changed(phone(), ("profiles", 0, "file"), "other.tflite"))


def test_a_thousand_mistakes_are_one_readable_line() -> None:
    document = benchmark()
    document["queries"]["tokens"] = ["many\nlines"] * 1000
    with pytest.raises(ValueError) as caught:
        validate(document)
    assert "; and 980 more" in str(caught.value) and "\n" not in str(caught.value)


class Inner(TypedDict):
    """Of a test."""

    count: Count


class Outer(TypedDict):
    """Of a test."""

    inner: Inner | None
    many: list[Inner] | None
    named: dict[Literal["a", "b"], Percent]
    free: Annotated[dict[str, Any], Inner]
    small: Annotated[int, Within(1, 3, "cm")] | str


GOOD = {
    "inner": None,
    "many": [{"count": 1}],
    "named": {"a": 100},
    "free": {"count": 0},
    "small": 3,
}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("inner", {"count": True}, "inner.count: got True, must be an integer >= 0"),
        ("inner", 5, "inner: got 5, must be an object or null"),
        ("many", [{"count": 1}, {}], "many[1].count: missing (write null for what was not"),
        ("many", {}, "many: got {}, must be a list or null"),
        ("named", {"c": 1}, 'named key: got \'c\', must be "a" or "b"'),
        ("named", {"a": 100.5}, "named.a: got 100.5, must be a finite number from 0 to 100"),
        ("free", {}, "free.count: missing"),
        ("small", 4, "small: got 4, must be an integer from 1 to 3 or a string"),
        ("small", 2.0, "small: got 2.0, must be an integer from 1 to 3 or a string"),
    ],
)
def test_places_and_types_are_told(key: str, value: Any, said: str) -> None:
    assert list(mismatches(GOOD, Outer)) == []
    (line,) = mismatches(GOOD | {key: value}, Outer)
    assert line.startswith(said)


def test_the_committed_page_is_what_the_script_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    monkeypatch.delitem(sys.modules, "make_schema", raising=False)
    import make_schema  # type: ignore[import-not-found]

    text = (DOCS / "report.md").read_text(encoding="utf-8")
    assert text == make_schema.page(), "write it again: python docs/make_schema.py"
    for shown in ("| `p90` | number | ms | 90th percentile. |", "### File in benchmark"):
        assert shown in text
    headings = [line[4:] for line in text.splitlines() if line.startswith("### ")]
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\(#(.*?)\)", text)) <= anchors and len(anchors) == len(headings)


def test_a_key_without_a_meaning_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    import make_schema

    with pytest.raises(ValueError, match="Inner has count; told are"):
        make_schema._described(Inner, {Inner: "Inner"})
