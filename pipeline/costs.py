# SPDX-License-Identifier: Apache-2.0
"""What trainings cost: steps, tokens, memory, disk and operations, from the sizes of the models."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline import ranks
from pipeline.config import Build, Optimization
from pipeline.disk import HELD
from pipeline.models.layers import choose_layers, width_of


@dataclass(frozen=True)
class Shape:
    """The sizes of an encoder."""

    layers: int
    width: int
    inner: int
    heads: int
    vocabulary: int
    positions: int = 512

    @property
    def layer(self) -> int:
        """Weights of one layer."""
        return 4 * self.width**2 + 2 * self.width * self.inner + 9 * self.width + self.inner

    @property
    def rest(self) -> int:
        """Weights of the tables and of a head over the vocabulary that shares them."""
        tables = (self.vocabulary + self.positions + 4) * self.width
        return tables + self.width**2 + self.vocabulary

    @property
    def weights(self) -> int:
        """Weights of the whole model."""
        return self.layers * self.layer + self.rest

    def operations(self, length: int, *, named: float = 0.0) -> float:
        """Floating-point operations of a forward pass for each token.

        Args:
            length: tokens of an input.
            named: share of the tokens with logits over the vocabulary.
        """
        layer = 2 * (4 * self.width**2 + 2 * self.width * self.inner) + 4 * length * self.width
        return self.layers * layer + named * 2 * self.width * (self.vocabulary + self.width)


@dataclass(frozen=True)
class Count:
    """A training set: examples, the inputs that they are cut into, and the tokens of those."""

    examples: int
    inputs: int
    tokens: int


@dataclass(frozen=True)
class Device:
    """A device, with what it is taken to compute; see `DEVICES`."""

    name: str
    count: int
    rate: float
    gigabytes: float

    def hours(self, operations: float) -> float:
        """The hours that so many operations take."""
        speed = self.rate * self.count * (TOGETHER if self.count > 1 else 1.0)
        return operations / speed / 3600


# Sizes of what presets name, so that they can be planned without a connection.
MODELS = {"google-bert/bert-base-uncased": Shape(12, 768, 3072, 12, 30522)}
HEADS = ("google-bert/bert-base-uncased",)  # that have a head for masked-language modeling
DATA = {"rajpurkar/squad": Count(87_599, 88_524, 15_500_000)}

# Operations a second that a device sustains here, and its memory.  The peak and the memory are from
# NVIDIA's data sheets (V100 125, A100 312, H100 SXM 989 TFLOP/s in half precision).  A share of it,
# 20, 19 and 10 %, is a reckoning for batches of a few samples of 512 tokens: products at 35 to 40 %
# of the peak, traffic of the logits over the vocabulary, and starts of kernels.  None was measured.
DEVICES = (
    Device("1 x A100", 1, 60e12, 40),
    Device("1 x H100", 1, 95e12, 80),
    Device("8 x V100", 8, 25e12, 16),
)
TOGETHER = 0.85  # of what several devices compute apart: they exchange gradients and wait


@dataclass(frozen=True)
class Step:
    """The plan of one training.

    Attributes:
        name: of the stage.
        steps, examples, tokens, passes: of the whole training; None where it is not known.
        operations: of the whole training.
        gigabytes: memory of a device.
        disk: gigabytes that the stage leaves, or holds while it runs.
    """

    name: str
    steps: int | None
    examples: int | None
    tokens: float | None
    passes: float | None
    operations: float | None
    gigabytes: float
    disk: float


def stages(
    config: Build,
    teacher: Shape,
    train: Count,
    *,
    learned: Count | None,
    has_mlm_head: bool,
    brought: Shape | None = None,
) -> Iterator[Step]:
    """The trainings of a build whose student learns the task.

    Args:
        config: the settings.
        teacher: its sizes.
        train: the examples of the task.
        learned: the examples that the teacher is fine-tuned on; None for one taken as it is.
        has_mlm_head: whether it has one for masked-language modeling.
        brought: the sizes of a student that came, and so does not learn the language; None for one
            that is made of the teacher's layers.

    Raises:
        UserError: the student is to have more neurons than the teacher.
    """
    student = brought or dataclasses.replace(
        teacher, layers=len(choose_layers(teacher.layers, config.student.layers))
    )
    length = max(1, train.tokens // max(1, train.inputs))
    first, second = config.distil, config.finetune
    parts = ranks.WORLD if config.hardware.shard else 1
    if learned is not None:
        yield _task_step("teacher", config.teacher.optimization, teacher, learned, length, parts)
    if first.enabled and not brought:
        named = 1.0 if first.alpha_ce and first.ce_on == "all" else first.mask_share
        named *= first.names_tokens
        inputs = first.max_samples
        if first.names_tokens and not has_mlm_head:
            samples = config.mlm_head.max_samples or inputs
            how, share = config.mlm_head.optimization, first.mask_share
            encoder = teacher.operations(first.length)
            cost = 3 * teacher.operations(first.length, named=share) - 2 * encoder
            memory = _memory(teacher, how, first.length, share, parts)
            yield _text_step("mlm-teacher", how, first.length, samples, cost, memory, teacher)
        cost = teacher.operations(first.length, named=named)
        cost += 3 * student.operations(first.length, named=named)
        memory = _memory(student, first.optimization, first.length, named, parts)
        memory += _frozen(teacher, parts)
        yield _text_step(
            "distilled", first.optimization, first.length, inputs, cost, memory, student
        )
    if second.second_step:
        states = student.layers * teacher.width if second.alpha_hidden else 0
        yield Step(
            "teacher-outputs", None, train.inputs, train.tokens, 1.0,
            train.tokens * teacher.operations(length), 4e-9 * teacher.weights,
            2e-9 * train.tokens * (states + 4),  # states in 2 bytes, two logits in 4
        )  # fmt: skip
    if (wanted := config.student.intermediate_size) is not None:  # it is narrowed before this step
        student = dataclasses.replace(student, inner=width_of(wanted, student.inner))
    yield _task_step("student", second.optimization, student, train, length, parts)


def _task_step(
    name: str, how: Optimization, shape: Shape, train: Count, length: int, parts: int
) -> Step:
    """A training on the examples of the task."""
    inputs = max(1, round(how.epochs * train.inputs))
    whole = math.ceil(inputs / how.batch_size)
    steps = min(how.max_steps or whole, whole)
    inputs = min(inputs, steps * how.batch_size)
    tokens = inputs * length
    memory = _memory(shape, how, length, 0.0, parts)
    if parts > 1 and how.eval_steps:
        memory += 4e-9 * shape.weights  # one device scores the whole model
    operations = 3 * tokens * shape.operations(length)
    passes = inputs / max(1, train.inputs)
    return Step(name, steps, inputs, tokens, passes, operations, memory, _held(shape))


def _text_step(
    name: str,
    how: Optimization,
    length: int,
    samples: int | None,
    cost: float,
    memory: float,
    shape: Shape,
) -> Step:
    """A training on plain text; `cost` is operations for each token."""
    steps, passes = how.max_steps, None
    if samples is not None:
        steps = steps or math.ceil(how.epochs * samples / how.batch_size)
        passes = steps * how.batch_size / samples
    examples = None if steps is None else steps * how.batch_size
    tokens = None if examples is None else float(examples * length)
    operations = None if tokens is None else tokens * cost
    return Step(name, steps, examples, tokens, passes, operations, memory, _held(shape))


def _held(shape: Shape) -> float:
    """Gigabytes of disk while a model trains: its checkpoints, of which there are two at times."""
    return 1e-9 * HELD * shape.weights


def _memory(shape: Shape, how: Optimization, length: int, named: float, parts: int) -> float:
    """Gigabytes of weights with their gradients and AdamW's averages, activations and logits.

    In several parts, a device holds its own, and gathers weights and gradients of what is outside
    of the layers, of one layer, and of the next one.
    """
    tokens = min(how.device_batch or how.batch_size, how.batch_size) * length
    activations = tokens * shape.layers * (34 * shape.width + 5 * shape.heads * length)
    logits = 8 * 4 * named * tokens * shape.vocabulary  # student, teacher, their softmax, gradients
    gathered = 8 * (shape.rest + 2 * shape.layer) if parts > 1 else 0
    return 1e-9 * (16 * shape.weights / parts + gathered + activations + logits)


def _frozen(shape: Shape, parts: int) -> float:
    """Gigabytes of a teacher's weights; in parts: of its layers, of two layers, and of the rest."""
    if parts == 1:
        return 4e-9 * shape.weights
    return 4e-9 * (shape.layers * shape.layer / parts + 2 * shape.layer + shape.rest)
