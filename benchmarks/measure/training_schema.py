# SPDX-License-Identifier: Apache-2.0
"""The JSON that `benchmarks.training` writes; the types are the schema."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import with_config
from typing_extensions import TypedDict

from benchmarks.measure.checked import STRICT, Amount, Count, Seconds, check
from benchmarks.measure.device_schema import Machine

KIND: Final = "training-benchmark"
VERSION: Final = 1


class Step(TypedDict):
    """One optimizer step.

    Attributes:
        tokens: The number of tokens in the batch, without padding.
        seconds: The time from the end of the step before to the end of this one.
    """

    tokens: Count
    seconds: Seconds


class Subject(TypedDict):
    """One loop.

    Attributes:
        name: The name of the loop.
        precision: The precision that it trained in: `fp32`, `bf16` or `fp16`.
        tokens_per_second: The median over the rounds.
        rounds: The counted steps of each round.
    """

    name: str
    precision: str
    tokens_per_second: Amount
    rounds: list[list[Step]]


class Ratio(TypedDict):
    """How many times as many tokens a loop trains on in a second as the plain loop does.

    Attributes:
        faster: The name of the loop.
        slower: The name of the plain loop.
        ratio: The median over the rounds.
        low: The lowest ratio of a round.
        high: The highest ratio of a round.
    """

    faster: str
    slower: str
    ratio: Amount
    low: Amount
    high: Amount


@with_config(STRICT)
class Training(TypedDict):
    """The document of `python -m benchmarks.training`.

    Attributes:
        kind: The kind of the document.
        schema_version: The version of this schema.
        created: The end of the measurement, in UTC and ISO 8601.
        command: The command that measured, without the folders of the machine.
        seed: The seed of the samples, of the students and of the order.
        warnings: The reasons to read the figures with caution.
        machine: The machine before the measurement.
        instructions: The class of the processor; empty where the system does not list its features.
        other_work_cores: The number of cores that other processes kept busy.
        versions: The versions of packages by name; null where a package is not installed.
        threads: The number of threads of each loop.
        teacher: The name of the teacher.
        text: The names of the texts.
        batch_size: The number of samples in a batch.
        length: The highest number of tokens in a sample.
        packed: Whether samples were filled up with the paragraphs that follow.
        tokens: The number of tokens of each sample.
        subjects: The loops.
        ratios: The comparisons with the plain loop.
    """

    kind: Literal["training-benchmark"]
    schema_version: Literal[1]
    created: str
    command: str
    seed: int
    warnings: list[str]
    machine: Machine
    instructions: str
    other_work_cores: Amount | None
    versions: dict[str, str | None]
    threads: Count
    teacher: str
    text: list[str]
    batch_size: Count
    length: Count
    packed: bool
    tokens: list[Count]
    subjects: list[Subject]
    ratios: list[Ratio]


def validate(document: Any) -> None:
    """Check a document against `Training`.

    Raises:
        ValueError: one line that names every wrong field, what it holds and what is allowed.
    """
    check(document, Training, lambda _: iter(()))
