# SPDX-License-Identifier: Apache-2.0
"""The schema of benchmarks: wrong fields are named, contradictions refused, the page of it true."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from typing import Annotated, Any, Literal

import pytest
from benchmark_fixtures import benchmark, phone, skeleton
from pydantic import Field, with_config
from repository import ROOT
from typing_extensions import TypedDict

from benchmarks.measure.checked import STRICT, Count, JsonObject, Percent, mismatches
from benchmarks.measure.schema import read, validate

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
        (("kind",), "report", "kind: got 'report', must be 'benchmark'"),
        (("schema_version",), 1, "schema_version: got 1, must be 3"),
        (("valid",), 1, "valid: got 1, must be true or false"),
        (("warnings",), "busy", "warnings: got 'busy', must be a list"),
        (("machine", "cpu"), ..., "machine.cpu: missing (write null"),
        (("machine", "load_average"), [-1.0], "machine.load_average[0]: got -1.0, must be"),
        (("machine", "host"), "secret", "machine.host: unknown"),
        (("queries", "tokens", 3), 1.5, "queries.tokens[3]: got 1.5, must be an integer"),
        (("files", 0, "bytes"), -1, "files[0].bytes: got -1, must be greater than or equal to 0"),
        (("files", 0, "scores", "f1"), "101", "files[0].scores.f1: got '101', must be a number"),
        (("runs", 1, "seconds"), math.nan, "runs[1].seconds: got nan, must be a finite number"),
        (("runs", 0, "latency", "subjects", INT8, "natural", "p90"), ..., "natural.p90: missing"),
        (
            ("runs", 0, "latency", "samples_ms", INT8, "both"),
            [],
            "both key: got 'both', must be 'natural' or 'padded'",
        ),
        (("runs", 0, "overhead", INT8, "natural", "share_percent"), "3", "must be a number"),
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
        (("queries", "tokens"), [5], "queries.tokens: got 1, but there are 40 queries"),
        (("runs", 0, "too_short"), "16 queries", "valid: got True, but runs[0].too_short says 16"),
        (("runs", 0, "latency", "queries"), 20, "rounds times queries"),
        (("runs", 0, "latency", "rounds"), 3, "got 80 samples, must be 120"),
        (("runs", 0, "latency", "ratios", 0, "slower"), "x", "latency.ratios[0]: no such subject"),
        (("runs", 0, "latency", "samples_ms", "x"), {}, "samples_ms.x: no such subject"),
        (("runs", 1, "weight_cache", "x"), None, "runs[1].weight_cache.x: no such file"),
        (("runs", 1, "overhead", "x"), {}, "runs[1].overhead.x: no such file"),
        (
            ("files", 0, "scores", "f1"),
            101.0,
            "files[0].scores.f1: got 101.0, must be from -100 to 100",
        ),
        (
            ("files", 0, "scores"),
            {"f1": 1.0},
            "scores: got f1, must be null or the metrics",
        ),
        (("metrics",), [], "must be null or the metrics: none"),
        (("metrics", 1, "name"), "f1", "metrics: names must differ"),
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


@pytest.mark.parametrize(
    ("unit", "score", "said"),
    [
        ("%", -100.5, "from -100 to 100"),
        ("", -0.5, None),
        ("", 1.5, "from -1 to 1"),
        ("%", -87.5, None),
    ],
)
def test_the_unit_of_a_metric_bounds_its_scores(unit: str, score: float, said: str | None) -> None:
    document = benchmark()
    document["metrics"] = [{"name": "spearman", "label": "Spearman", "unit": unit}]
    for file in document["files"]:
        file["scores"] = {"spearman": score}
    if said is None:
        validate(document)
    else:
        with pytest.raises(ValueError, match=said):
            validate(document)


@pytest.mark.parametrize("version", [0, 4, None, "2", True, 2.5])
def test_a_version_that_is_not_known_is_refused_in_one_line(version: Any) -> None:
    with pytest.raises(ValueError) as caught:
        read(benchmark() | {"schema_version": version})
    said = f"schema_version is {version!r}, and this release reads 1, 2 and 3: open it with"
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [{}, {"files": 5}, {"files": [{}], "queries": {}, "runs": []}])
def test_a_damaged_document_of_an_older_version_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="does not hold what schema version 1 asks for"):
        read({"kind": "benchmark", "schema_version": 1} | damage)


def test_what_is_current_is_read_as_it_is() -> None:
    document = benchmark()
    assert read(document) == document


class Inner(TypedDict):
    """A type of a test."""

    count: Count


@with_config(STRICT)
class Outer(TypedDict):
    """A type of a test."""

    inner: Inner | None
    many: list[Inner] | None
    named: dict[Literal["a", "b"], Percent]
    free: JsonObject
    small: Annotated[int, Field(ge=1, le=3)] | str


GOOD = {
    "inner": None,
    "many": [{"count": 1}],
    "named": {"a": 100},
    "free": {"count": (0, None, {"deep": "x"})},
    "small": 3,
}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("inner", {"count": True}, "inner.count: got True, must be an integer"),
        ("inner", 5, "inner: got 5, must be an object or null"),
        ("many", [{"count": 1}, {}], "many[1].count: missing (write null for what was not"),
        ("many", [{"count": 1, "x": 2}], "many[0].x: unknown; allowed are count"),
        ("many", {}, "many: got {}, must be a list or null"),
        ("named", {"c": 1}, "named.c key: got 'c', must be 'a' or 'b'"),
        ("named", {"a": 100.5}, "named.a: got 100.5, must be less than or equal to 100"),
        ("free", {"x": [{1}]}, "free.x[0]: got {1}, must be a value that JSON can hold"),
        ("small", 4, "small: got 4, must be less than or equal to 3 or a string"),
        ("small", 2.0, "small: got 2.0, must be an integer or a string"),
        ("small", "x" * 99, None),
        ("small", ["x" * 99], "small: got ['xxxxx"),
    ],
)
def test_places_and_types_are_told(key: str, value: Any, said: str | None) -> None:
    assert mismatches(GOOD, Outer) == []
    lines = mismatches(GOOD | {key: value}, Outer)
    if said is None:
        assert lines == []
    else:
        (line,) = lines
        assert line.startswith(said) and len(line) < 150


def test_the_probe_of_memory_does_without_pydantic() -> None:
    """What a cold start imports is in every figure of memory."""
    code = "import sys, converters.runtimes.probe; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_committed_page_is_what_the_script_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    monkeypatch.delitem(sys.modules, "make_schema", raising=False)
    import make_schema  # type: ignore[import-not-found]

    text = (DOCS / "report.md").read_text(encoding="utf-8")
    assert text == make_schema.page(), "write it again: python docs/make_schema.py"
    for shown in ("| `p90` | number | ms | The 90th percentile. |", "### File in benchmark"):
        assert shown in text
    for name, root in (*make_schema.DOCUMENTS, *make_schema.SCHEMA_ALONE):
        stored = (DOCS / "schema" / name).read_text(encoding="utf-8")
        assert stored == make_schema.json_schema(root), "write it again: python docs/make_schema.py"
    for name, root, parts in make_schema.BESIDE:
        stored = (DOCS / "schema" / name).read_text(encoding="utf-8")
        assert stored == make_schema.beside_schema(root, parts), "python docs/make_schema.py"
    headings = [line[4:] for line in text.splitlines() if line.startswith("### ")]
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\(#(.*?)\)", text)) <= anchors and len(anchors) == len(headings)


def test_a_key_without_a_meaning_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    import make_schema

    with pytest.raises(ValueError, match="Inner has the keys count; its docstring describes none"):
        make_schema._described(Inner, {Inner: "Inner"})


@pytest.mark.parametrize("document", [benchmark, phone, skeleton])
def test_the_json_schema_lists_every_key_of_a_document(document: Any) -> None:
    """By hand, as no validator of JSON Schema is among the packages that are pinned."""
    schema = json.loads((DOCS / "schema" / "benchmark.json").read_text(encoding="utf-8"))

    def check(value: Any, kind: dict[str, Any]) -> None:
        if "$ref" in kind:
            kind = schema["$defs"][kind["$ref"].rpartition("/")[2]]
        for one in kind.get("anyOf", ()):
            if (one.get("type") == "null") == (value is None):
                check(value, one)
        if "anyOf" in kind:
            return
        if "properties" in kind:
            assert sorted(value) == sorted(kind["required"]) == sorted(kind["properties"])
            assert all(part["description"] for part in kind["properties"].values())
            assert kind["description"] and kind["additionalProperties"] is False
            for key, item in value.items():
                check(item, kind["properties"][key])
        elif isinstance(value, list):
            for item in value:
                check(item, kind["items"])
        elif isinstance(value, dict) and isinstance(kind.get("additionalProperties"), dict):
            for item in value.values():
                check(item, kind["additionalProperties"])

    check(document(), schema)
