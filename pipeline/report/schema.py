# SPDX-License-Identifier: Apache-2.0
"""What a build's report holds: the types, and `validate`, which checks a document against them.

The types are the schema, and docs/report.md and docs/schema/report.json are generated from them.
Every key is required; what was not measured is null. The latency of a report has the same form as
that of a benchmark.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from benchmarks.measure import upgrade
from benchmarks.measure.checked import (
    STRICT,
    Bytes,
    Count,
    JsonObject,
    Scalar,
    Seconds,
    check,
)
from benchmarks.measure.schema import (
    Latency,
    Metric,
    ScoresByMetric,
    latency_contradictions,
    names_differ,
    score_contradictions,
)

VERSION: Final = 4
RULES = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}

# The names that settings and checks had until version 2.
FORMER_SETTINGS: Final = {"alpha_squad": "alpha_gold"}
FORMER_CHECKS: Final = {"changed_answers": "changed_predictions", "f1_drop": "score_drop"}


class Dataset(TypedDict):
    """A labeled data set.

    Attributes:
        name: The name of the data set.
        sha256: The checksum of its content, hexadecimal.
        counts: How many there are of what, such as `questions`, `passages` and `skipped`; the
            number of examples comes first.
        language: The language of the texts, as a code such as `de`; null or absent if neither the
            user nor the texts tell it.
    """

    name: str
    sha256: str
    counts: dict[str, Count]
    language: NotRequired[str | None]


class Corpus(TypedDict):
    """Unlabeled text for general distillation.

    Attributes:
        name: The name of the corpus.
        sha256: The checksum of its content, hexadecimal.
        samples: The number of windows of tokens that the student was trained on.
    """

    name: str
    sha256: str
    samples: Count


class Data(TypedDict):
    """All data that the build read.

    Attributes:
        train: The data set that models were trained on; null where nothing was trained on one.
        eval: The data set that every model and file was scored on.
        corpus: The text for general distillation; null without general distillation.
    """

    train: Dataset | None
    eval: Dataset
    corpus: Corpus | None


class Losses(TypedDict):
    """The losses of a training over some of its steps, averaged over all devices.

    Attributes:
        step: The optimizer step at the end of the interval.
        loss: The mean of the whole loss since the entry before.
        parts: The mean of each part, weighted, by its name.
    """

    step: Count
    loss: float
    parts: dict[str, float]


class Evaluation(TypedDict):
    """A score that was measured during a training, on some of the evaluation examples.

    Attributes:
        step: The optimizer step.
        metric: The name of the metric, of which more is better.
        score: Its value.
    """

    step: Count
    metric: str
    score: float


class Stage(TypedDict):
    """One stage of the build.

    Attributes:
        name: The name of the stage.
        seconds: The time that the stage took in the build that ran it.
        resumed: Whether the result of an earlier build was used.
        facts: What the stage reports about itself.
        losses: The losses over the training, in the order of the steps; absent where nothing was
            trained.
        evaluations: The scores during the training, in the order of the steps; absent where the
            settings ask for none.
    """

    name: str
    seconds: Seconds
    resumed: bool
    facts: dict[str, Scalar]
    losses: NotRequired[list[Losses]]
    evaluations: NotRequired[list[Evaluation]]


class Model(TypedDict):
    """A PyTorch model.

    Attributes:
        name: The name of the model. The headline compares with the one named `teacher`.
        layers: The number of layers of the encoder.
        hidden_size: The width of a hidden state.
        parameters: The number of all parameters.
        parameters_embedding: The number of parameters in embedding tables.
        bytes: The size of the weights.
        scores: The scores by the names in `metrics`; null where the model was not scored.
    """

    name: str
    layers: Count
    hidden_size: Count
    parameters: Count
    parameters_embedding: Count | None
    bytes: Bytes
    scores: ScoresByMetric


class Check(TypedDict):
    """One measured value and its limit.

    Attributes:
        name: The name of the value, such as `max_logit_error` or `score_drop`.
        lengths: The input lengths that the value was measured on.
        value: The measured value; null where it is not a finite number.
        limit: The limit of the value.
        rule: The check passes if `value rule limit` holds.
        passed: Whether the check passed.
        reason: The reason for this limit.
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
        passed: Whether there are checks and all of them passed.
        checks: One entry for each measured value.
        examples: The number of evaluation examples that the file was run on, each at its own
            length; absent in older reports, where it was all of them.
        padded_examples: The number of those that it was also run on padded to the longest input.
        training_examples: The number of training examples that `score_drop` was measured on
            together with the evaluation examples; absent in older reports, where there were none.
            They enter no score.
    """

    passed: bool
    checks: list[Check]
    examples: NotRequired[Count]
    padded_examples: NotRequired[Count]
    training_examples: NotRequired[Count]


class File(TypedDict):
    """An exported file.

    Attributes:
        name: The name of the file: its target and precision distinguish it from the others.
        path: The path within the build folder.
        target: The format.
        precision: The precision of its weights.
        bytes: The size of the file.
        sha256: The checksum of its content, hexadecimal.
        purpose: What its precision is meant for.
        min_runtime: The oldest release of each runtime that computes the file correctly.
        faults: The releases that open the file and compute it wrong without an error, and how.
        scores: The scores of the file's own predictions, by the names in `metrics`; null where the
            file was not scored.
        gate: The comparison with the PyTorch model; null where the file was not verified.
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
    scores: ScoresByMetric
    gate: Gate | None


@with_config(STRICT)
class Report(TypedDict):
    """The whole document.

    Attributes:
        schema_version: The version of this schema.
        created: The end of the build, in UTC and ISO 8601.
        command: The command that repeats the build.
        task: The task that the models were trained for, by its name on the Hugging Face Hub.
        preset: The name of the preset whose settings the build started from.
        seed: The seed of every random number generator.
        tool_version: The version of this project.
        config: Every setting under the name that it has on the command line.
        versions: The versions of packages by name when the times were measured, or else at the end
            of the build; null where a package is not installed.
        machine: The description by `benchmarks.measure.machine` of the machine that measured the
            times, or else of the one that ended the build; any JSON object.
        data: All data that the build read.
        stages: The stages in their order.
        metrics: The metrics of all scores, the most important one first; empty where nothing was
            scored.
        models: The PyTorch models.
        files: The exported files.
        latency: The times; null where they were not measured. A subject has the scores of the file
            with its name, or of the model whose name precedes `-fp32`.
    """

    schema_version: Literal[4]
    created: str
    command: str
    task: str
    preset: str
    seed: int
    tool_version: str
    config: JsonObject
    versions: dict[str, str | None]
    machine: JsonObject
    data: Data
    stages: list[Stage]
    metrics: list[Metric]
    models: list[Model]
    files: list[File]
    latency: Latency | None


def read(document: Any) -> Report:
    """Bring a stored report to the current version, and check it.

    Args:
        document: what `json.load` returns; it is not changed.

    Returns:
        The report as this version of the schema describes it.

    Raises:
        ValueError: one line: its version is unknown, or which fields are wrong.
    """
    report: Report = upgrade.current(document, "report", VERSION, {2: _report_2, 3: _report_3})
    validate(report)
    return report


def _report_2(report: dict[str, Any]) -> dict[str, Any]:
    """Version 3 names the task and has scores by metric, counts of data and checks for any task."""
    models, files = report["models"], report["files"]
    return {
        **report,
        "task": "question-answering",
        "config": _config_2(report["config"]),
        "data": {name: _data_2(one) for name, one in report["data"].items()},
        "metrics": upgrade.former_metrics(models, files),
        "models": [upgrade.with_scores(model) for model in models],
        "files": [{**upgrade.with_scores(file), "gate": _gate_2(file["gate"])} for file in files],
    }


def _report_3(report: dict[str, Any]) -> dict[str, Any]:
    """Version 4 says how far the logits of each subject are from its reference."""
    latency = report["latency"]
    return {**report, "latency": latency and upgrade.with_logit_errors(latency)}


def _config_2(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with the present name of the weight of the gold labels."""
    finetune = {
        FORMER_SETTINGS.get(name, name): value for name, value in config["finetune"].items()
    }
    return {**config, "task": "question-answering", "finetune": finetune}


def _data_2(one: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A data set with its numbers as `counts`; text for general distillation has none."""
    if one is None or "questions" not in one:
        return dict(one) if one else None
    counts = {name: one[name] for name in ("questions", "passages", "skipped")}
    return {"name": one["name"], "sha256": one["sha256"], "counts": counts}


def _gate_2(gate: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if gate is None:
        return None
    checks = [
        {**one, "name": FORMER_CHECKS.get(one["name"], one["name"])} for one in gate["checks"]
    ]
    return {**gate, "checks": checks}


def validate(report: Any) -> None:
    """Check a report against `Report` and against itself.

    Args:
        report: what `json.load` or a build returns.

    Raises:
        ValueError: one line that names every wrong field, what it holds and what is allowed.
    """
    check(report, Report, _contradictions)


def _contradictions(report: Report) -> Iterator[str]:
    """Yield a line for each field that contradicts the fields beside it."""
    for where, entries in (("models", report["models"]), ("files", report["files"])):
        yield from names_differ(entries, where)
        yield from score_contradictions(report["metrics"], entries, where)
    yield from names_differ(report["metrics"], "metrics")
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
