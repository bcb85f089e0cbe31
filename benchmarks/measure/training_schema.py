# SPDX-License-Identifier: Apache-2.0
"""The JSON that `benchmarks.training` writes; the types are the schema."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import with_config
from typing_extensions import TypedDict

from benchmarks.measure.checked import STRICT, Amount, Count, Seconds, check
from benchmarks.measure.device_schema import Machine

KIND: Final = "training-benchmark"
VERSION: Final = 2


class Step(TypedDict):
    """One optimizer step.

    Attributes:
        examples: The number of samples or windows in the batch.
        tokens: The number of tokens in the batch, without padding.
        seconds: The time from the end of the step before to the end of this one.
    """

    examples: Count
    tokens: Count
    seconds: Seconds


class Recording(TypedDict):
    """The forward passes of the teacher over all examples, before the steps.

    Attributes:
        precision: The precision of the passes: `fp32`, `bf16` or `fp16`.
        seconds: The duration.
    """

    precision: str
    seconds: Seconds


class Turn(TypedDict):
    """One pass of a loop over all examples.

    Attributes:
        precision: The precision of the steps: `fp32`, `bf16` or `fp16`.
        recording: The recording of the teacher's outputs; null for a loop without one.
        steps: The counted steps.
    """

    precision: str
    recording: Recording | None
    steps: list[Step]


class Subject(TypedDict):
    """One loop. Its speeds are medians over its turns.

    Attributes:
        name: The name of the loop.
        precision: The precision of its steps: `fp32`, `bf16` or `fp16`.
        tokens_per_second: The tokens without padding in each second of the steps.
        examples_per_second: The samples or windows in each second of the steps.
        with_recording: The same with the time of recording spread over the epochs; null for a loop
            that records nothing.
        turns: The counted turns.
    """

    name: str
    precision: str
    tokens_per_second: Amount
    examples_per_second: Amount
    with_recording: Amount | None
    turns: list[Turn]


class Ratio(TypedDict):
    """How many times as fast a loop trains as the plain loop: by tokens, or by windows of the task.

    Attributes:
        faster: The name of the loop.
        slower: The name of the plain loop.
        with_recording: Whether the time of recording, spread over the epochs, is included.
        ratio: The median over the rounds.
        low: The lowest ratio of a round.
        high: The highest ratio of a round.
    """

    faster: str
    slower: str
    with_recording: bool
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
        seed: The seed of the examples, of the students and of the order.
        warnings: The reasons to read the figures with caution.
        machine: The machine before the measurement.
        instructions: The class of the processor; empty where the system does not list its features.
        other_work_cores: The number of cores that other processes kept busy.
        versions: The versions of packages by name; null where a package is not installed.
        threads: The number of threads of each loop.
        step: The training: general distillation or the second distillation step for questions.
        teacher: The name of the teacher.
        text: The names of the texts, or of the questions.
        batch_size: The number of samples or windows in a batch.
        length: The highest number of tokens in a sample or window.
        packed: Whether samples were filled up with the paragraphs that follow.
        epochs: The epochs over which the time of recording is spread; null where nothing is
            recorded.
        rounds: The number of counted turns of each loop.
        steps: The number of counted steps in a turn.
        mean_tokens: The mean number of tokens in a sample or window.
        tokens: The number of tokens of each sample or window.
        subjects: The loops.
        ratios: The comparisons with the plain loop.
    """

    kind: Literal["training-benchmark"]
    schema_version: Literal[2]
    created: str
    command: str
    seed: int
    warnings: list[str]
    machine: Machine
    instructions: str
    other_work_cores: Amount | None
    versions: dict[str, str | None]
    threads: Count
    step: Literal["general", "task"]
    teacher: str
    text: list[str]
    batch_size: Count
    length: Count
    packed: bool
    epochs: Amount | None
    rounds: Count
    steps: Count
    mean_tokens: Amount
    tokens: list[Count]
    subjects: list[Subject]
    ratios: list[Ratio]


def validate(document: Any) -> None:
    """Check a document against `Training`.

    Raises:
        ValueError: one line that names every wrong field, what it holds and what is allowed.
    """
    check(document, Training, lambda _: iter(()))
