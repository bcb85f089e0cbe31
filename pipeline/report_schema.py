# SPDX-License-Identifier: Apache-2.0
"""What a build's report holds: the types, and `validate`, which checks a dict against them.

The types are the schema. Every key must be there; what was not measured is None, so that a
forgotten figure and one that was not taken cannot be confused.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Iterator
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypedDict,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

Amount = Annotated[float, (0, math.inf)]  # bytes, milliseconds, seconds, a ratio
Count = Annotated[int, (0, math.inf)]
Percent = Annotated[float, (0, 100)]  # exact match and F1: 44.0, not 0.44
Scalar = str | int | float | bool | None
Lengths = Literal["natural", "padded"]

RULES = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}


class Dataset(TypedDict):
    """A question-answering set; `skipped` counts questions that could not be used."""

    name: str
    sha256: str
    passages: Count
    questions: Count
    skipped: Count


class Corpus(TypedDict):
    """Unlabeled text for distillation."""

    name: str
    sha256: str
    samples: Count


class Data(TypedDict):
    """Everything the build read."""

    train: Dataset | None
    eval: Dataset
    corpus: Corpus | None


class Stage(TypedDict):
    """One stage of the build; a resumed one was taken from an earlier build's output."""

    name: str
    seconds: Amount
    resumed: bool
    facts: dict[str, Scalar]


class Model(TypedDict):
    """A PyTorch model; the report's headline compares with the one named `teacher`."""

    name: str
    layers: Count
    hidden_size: Count
    parameters: Count
    parameters_embedding: Count | None
    bytes: Count
    exact_match: Percent | None
    f1: Percent | None


class Check(TypedDict):
    """One measured value against its limit; a value that is not a finite number is None."""

    name: str
    lengths: Literal["natural", "padded", "both"]
    value: float | None
    limit: float
    rule: Literal["<=", ">=", "=="]
    passed: bool
    reason: str


class Gate(TypedDict):
    """All checks of one file."""

    passed: bool
    checks: list[Check]


class File(TypedDict):
    """An exported file, scored as it is; without a gate it was not verified.

    `purpose` says what its precision is for. `min_runtime` has the oldest release of each runtime
    that computes it right, `faults` those that were seen to open it and go wrong without an error,
    and how.
    """

    name: str
    path: str
    target: str
    precision: str
    bytes: Count
    sha256: str
    purpose: str
    min_runtime: dict[str, str]
    faults: dict[str, str]
    exact_match: Percent | None
    f1: Percent | None
    gate: Gate | None


class Summary(TypedDict):
    """Milliseconds a query: the fields of `benchmarks.latency.Summary`."""

    count: Count
    mean: Amount
    mean_low: Amount
    mean_high: Amount
    p50: Amount
    p50_low: Amount
    p50_high: Amount
    p90: Amount
    p99: Amount
    min: Amount
    max: Amount


class Subject(TypedDict):
    """What was timed. Its F1 is that of the file of its name, or of the model: `NAME-fp32.*`."""

    path: str
    natural: Summary | None
    padded: Summary | None
    load_ms: Amount | None
    first_ms: Amount | None
    peak_rss_bytes: Count | None
    empty_rss_bytes: Count | None


class Ratio(TypedDict):
    """Mean time of `slower` over mean time of `faster`, with its 95 % interval."""

    faster: str
    slower: str
    faster_lengths: Lengths
    slower_lengths: Lengths
    ratio: Amount
    low: Amount
    high: Amount


class Latency(TypedDict):
    """The benchmark. The first ratio is the one the report opens with."""

    method: str
    threads: Count
    queries: Count
    rounds: Count
    padded_length: Count
    mean_tokens: Amount
    busy: str | None
    subjects: dict[str, Subject]
    ratios: list[Ratio]
    samples_ms: dict[str, dict[Lengths, list[Amount]]]


class Report(TypedDict):
    """One build. `config` and `machine` are free JSON objects."""

    schema_version: Literal[2]
    created: str
    command: str
    preset: str
    seed: int
    tool_version: str
    config: dict[str, Any]
    versions: dict[str, str | None]
    machine: dict[str, Any]
    data: Data
    stages: list[Stage]
    models: list[Model]
    files: list[File]
    latency: Latency | None


def validate(report: Any) -> None:
    """Check a report against `Report` and against itself.

    Args:
        report: what `json.load` or a build gives.

    Raises:
        ValueError: on one line, every field that is wrong, what it holds and what is allowed.
    """
    wrong = list(_mismatches(report, Report, "")) or list(_contradictions(report))
    if wrong:
        raise ValueError("the report cannot be used: " + "; ".join(wrong))


def _mismatches(value: Any, kind: Any, where: str) -> Iterator[str]:
    """Yield a line for each place below `where` at which `value` is not of the type `kind`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if is_typeddict(kind):
        yield from _keys(value, kind, where)
    elif origin in (Union, UnionType):
        if not any(_fits(value, choice) for choice in arguments):
            # The choice that shares the value's shape explains best what is wrong within it.
            nested = [c for c in arguments if is_typeddict(c) and isinstance(value, dict)]
            yield from (
                _mismatches(value, nested[0], where)
                if nested
                else [_line(where, value, " or ".join(map(_called, arguments)))]
            )
    elif origin is Annotated:
        low, high = arguments[1]
        if not _fits(value, arguments[0]) or not low <= value <= high:
            yield _line(where, value, _called(kind))
    elif kind is Any:
        whole: dict[type, Any] = {dict: dict[str, Any], list: list[Any], tuple: list[Any]}
        yield from _mismatches(value, whole.get(type(value), Scalar), where)
    elif origin is list and isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _mismatches(item, arguments[0], f"{where}[{index}]")
    elif origin is dict and isinstance(value, dict):
        for key, item in value.items():
            yield from _mismatches(key, arguments[0], f"{where} key")
            yield from _mismatches(item, arguments[1], f"{where}.{key}")
    elif not _is_plain(value, kind):
        yield _line(where, value, _called(kind))


def _keys(value: Any, kind: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield _line(where or "report", value, f"an object with {', '.join(kind.__annotations__)}")
        return
    hints = get_type_hints(kind, include_extras=True)
    path = f"{where}." if where else ""
    for key, hint in hints.items():
        if key in value:
            yield from _mismatches(value[key], hint, path + key)
        else:
            yield f"{path}{key}: missing (write null for what was not measured)"
    for key in value:
        if key not in hints:
            yield f"{path}{key}: unknown; allowed are {', '.join(hints)}"


def _is_plain(value: Any, kind: Any) -> bool:
    """Whether `value` is of a type without parts."""
    if get_origin(kind) is Literal:
        return any(type(value) is type(choice) and value == choice for choice in get_args(kind))
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is kind  # not isinstance: True is no int


def _fits(value: Any, kind: Any) -> bool:
    return next(_mismatches(value, kind, ""), None) is None


def _called(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(json.dumps(choice) for choice in get_args(kind))
    if get_origin(kind) is Annotated:
        plain, (low, high) = get_args(kind)
        return f"{_called(plain)} " + (f">= {low}" if high == math.inf else f"from {low} to {high}")
    if is_typeddict(kind):
        return "an object"
    names = {str: "a string", int: "an integer", float: "a finite number", bool: "true or false"}
    names |= {type(None): "null", list: "a list", dict: "an object"}
    return names[get_origin(kind) or kind]


def _line(where: str, value: Any, allowed: str) -> str:
    shown = repr(value)
    return f"{where}: got {shown if len(shown) <= 60 else shown[:57] + '...'}, must be {allowed}"


def _contradictions(report: Report) -> Iterator[str]:
    """Yield a line for each field that says something else than the fields beside it."""
    for kind in ("models", "files"):
        names = [entry["name"] for entry in report[kind]]
        if len(set(names)) < len(names):
            yield f"{kind}: names must differ, got {', '.join(names)}"
    for index, file in enumerate(report["files"]):
        gate, where = file["gate"], f"files[{index}].gate"
        if gate is None:
            continue
        for number, check in enumerate(gate["checks"]):
            value = check["value"]
            holds = value is not None and RULES[check["rule"]](value, check["limit"])
            if holds != check["passed"]:
                yield (
                    f"{where}.checks[{number}].passed: got {check['passed']}, but "
                    f"{value} {check['rule']} {check['limit']} is {holds}"
                )
        passed = bool(gate["checks"]) and all(check["passed"] for check in gate["checks"])
        if gate["passed"] != passed:
            yield f"{where}.passed: got {gate['passed']}, but that of its checks is {passed}"
    latency = report["latency"]
    if latency is None:
        return
    known = latency["subjects"].keys()
    for index, ratio in enumerate(latency["ratios"]):
        for side in ("faster", "slower"):
            if ratio[side] not in known:
                yield f"latency.ratios[{index}].{side}: no such subject: {ratio[side]}"
    for name in latency["samples_ms"].keys() - known:
        yield f"latency.samples_ms.{name}: no such subject"
