# SPDX-License-Identifier: Apache-2.0
"""What a build's report holds: the types, and `validate`, which checks a dict against them.

The types are the schema, and docs/report.md is written from them. Every key is there; what was not
measured is null. What a report says of latency is what a benchmark says.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any, Literal, TypedDict

from benchmarks.measure.schema import Latency, latency_contradictions, names_differ
from benchmarks.measure.typed import Bytes, Count, Percent, Scalar, Seconds, check

RULES = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}


class Dataset(TypedDict):
    """A question-answering set.

    Attributes:
        name: of the set.
        sha256: of its content, hexadecimal.
        passages: that were used.
        questions: that were used.
        skipped: questions that could not be used.
    """

    name: str
    sha256: str
    passages: Count
    questions: Count
    skipped: Count


class Corpus(TypedDict):
    """Unlabeled text for distillation.

    Attributes:
        name: of the corpus.
        sha256: of its content, hexadecimal.
        samples: windows of tokens that were trained on.
    """

    name: str
    sha256: str
    samples: Count


class Data(TypedDict):
    """Everything the build read.

    Attributes:
        train: questions for training; null where none were needed.
        eval: questions that every model and file was scored on.
        corpus: text for general distillation; null without it.
    """

    train: Dataset | None
    eval: Dataset
    corpus: Corpus | None


class Stage(TypedDict):
    """One stage of the build.

    Attributes:
        name: of the stage.
        seconds: that it took, in the build that ran it.
        resumed: whether it was taken from an earlier build's output.
        facts: what it tells of itself.
    """

    name: str
    seconds: Seconds
    resumed: bool
    facts: dict[str, Scalar]


class Model(TypedDict):
    """A PyTorch model.

    Attributes:
        name: the headline compares with the one named `teacher`.
        layers: of the encoder.
        hidden_size: width of a hidden state.
        parameters: all of them.
        parameters_embedding: those in embedding tables.
        bytes: of the weights.
        exact_match: share of answers that equal a gold one but for case, punctuation and articles.
        f1: mean overlap of words with the best-fitting gold answer.
    """

    name: str
    layers: Count
    hidden_size: Count
    parameters: Count
    parameters_embedding: Count | None
    bytes: Bytes
    exact_match: Percent | None
    f1: Percent | None


class Check(TypedDict):
    """One measured value against its limit.

    Attributes:
        name: of what was measured.
        lengths: of the inputs that it was measured on.
        value: what came out; null where it is no finite number.
        limit: what it is held against.
        rule: `value rule limit` must hold.
        passed: whether it does.
        reason: why this limit.
    """

    name: str
    lengths: Literal["natural", "padded", "both"]
    value: float | None
    limit: float
    rule: Literal["<=", ">=", "=="]
    passed: bool
    reason: str


class Gate(TypedDict):
    """All checks of one file.

    Attributes:
        passed: whether there are checks and all of them passed.
        checks: one a measured value.
    """

    passed: bool
    checks: list[Check]


class File(TypedDict):
    """An exported file, scored as it is.

    Attributes:
        name: target and precision tell files apart.
        path: within the build folder.
        target: format.
        precision: of its weights.
        bytes: of the file.
        sha256: of its content, hexadecimal.
        purpose: what its precision is for.
        min_runtime: the oldest release of each runtime that computes it right.
        faults: releases that were seen to open it and go wrong without an error, and how.
        exact_match: as a model's.
        f1: as a model's.
        gate: how it was held against the PyTorch model; null where it was not verified.
    """

    name: str
    path: str
    target: str
    precision: str
    bytes: Bytes
    sha256: str
    purpose: str
    min_runtime: dict[str, str]
    faults: dict[str, str]
    exact_match: Percent | None
    f1: Percent | None
    gate: Gate | None


class Report(TypedDict):
    """One build.

    Attributes:
        schema_version: of this description.
        created: end of the build, UTC, ISO 8601.
        command: that repeats it.
        preset: whose settings it began with.
        seed: of everything random.
        tool_version: of this project.
        config: every setting, as the command line names them.
        versions: of packages by name; null where not installed.
        machine: what `benchmarks.measure.machine.describe` tells; a free JSON object.
        data: everything the build read.
        stages: in their order.
        models: in PyTorch.
        files: that were exported.
        latency: times; null where they were not measured. The F1 of a subject is that of the file
            of its name, or of the model where its name is `NAME-fp32.*`.
    """

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
    check(report, Report, _contradictions)


def _contradictions(report: Report) -> Iterator[str]:
    """Yield a line for each field that says something else than the fields beside it."""
    yield from names_differ(report["models"], "models")
    yield from names_differ(report["files"], "files")
    for index, file in enumerate(report["files"]):
        gate, where = file["gate"], f"files[{index}].gate"
        if gate is None:
            continue
        for number, one in enumerate(gate["checks"]):
            value = one["value"]
            holds = value is not None and RULES[one["rule"]](value, one["limit"])
            if holds != one["passed"]:
                yield (
                    f"{where}.checks[{number}].passed: got {one['passed']}, but "
                    f"{value} {one['rule']} {one['limit']} is {holds}"
                )
        passed = bool(gate["checks"]) and all(one["passed"] for one in gate["checks"])
        if gate["passed"] != passed:
            yield f"{where}.passed: got {gate['passed']}, but that of its checks is {passed}"
    if report["latency"] is not None:
        yield from latency_contradictions(report["latency"], "latency")
