# SPDX-License-Identifier: Apache-2.0
"""The JSON that `benchmarks.stream` writes; the types are the schema."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import with_config
from typing_extensions import TypedDict

from benchmarks.measure.checked import STRICT, Amount, Count, Seconds, check
from benchmarks.measure.device_schema import Machine

KIND: Final = "stream-benchmark"
VERSION: Final = 1


class Span(TypedDict):
    """One measurement of a part.

    Attributes:
        tokens: The number of tokens, without padding.
        seconds: The duration.
    """

    tokens: Count
    seconds: Seconds


class Part(TypedDict):
    """A part of the work, or all of it.

    Attributes:
        name: The name of the part.
        workers: The number of processes that read and tokenize; null for a part that runs alone.
        remembers: Whether the words of the text are remembered; null for masking.
        tokens_per_second: The median over the rounds.
        rounds: The measurement of each round.
    """

    name: str
    workers: Count | None
    remembers: bool | None
    tokens_per_second: Amount
    rounds: list[Span]


@with_config(STRICT)
class Streaming(TypedDict):
    """The document of `python -m benchmarks.stream`.

    Attributes:
        kind: The kind of the document.
        schema_version: The version of this schema.
        created: The end of the measurement, in UTC and ISO 8601.
        command: The command that measured, without the folders of the machine.
        seed: The seed of the order and of the masks.
        warnings: The reasons to read the figures with caution.
        machine: The machine before the measurement.
        instructions: The class of the processor; empty where the system does not list its features.
        other_work_cores: The number of cores that other processes kept busy.
        versions: The versions of packages by name; null where a package is not installed.
        teacher: The name of the model whose tokenizer was used.
        text: The names of the texts.
        text_tokens: The number of tokens in one pass over the text.
        batch_size: The number of samples in a batch.
        length: The number of tokens in a sample.
        parts: The parts.
    """

    kind: Literal["stream-benchmark"]
    schema_version: Literal[1]
    created: str
    command: str
    seed: int
    warnings: list[str]
    machine: Machine
    instructions: str
    other_work_cores: Amount | None
    versions: dict[str, str | None]
    teacher: str
    text: list[str]
    text_tokens: Count
    batch_size: Count
    length: Count
    parts: list[Part]


def validate(document: Any) -> None:
    """Check a document against `Streaming`.

    Raises:
        ValueError: one line that names every wrong field, what it holds and what is allowed.
    """
    check(document, Streaming, lambda _: iter(()))
