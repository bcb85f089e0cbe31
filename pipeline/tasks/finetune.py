# SPDX-License-Identifier: Apache-2.0
"""Learning a task: the teacher's fine-tuning, and the student's second distillation step.

The second step (DistilBERT, arXiv 1910.01108, section 4.1): while it learns the gold labels, the
student also learns from the logits of a teacher already fine-tuned for the task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import TrainerCallback

from pipeline.config import Finetune, Hardware, Optimization
from pipeline.tasks.outputs import TeacherOutputs, inputs
from pipeline.tasks.task import Feature, Task
from pipeline.training import losses
from pipeline.training.batches import Batch, Schedule
from pipeline.training.evaluation import Measure
from pipeline.training.loop import Fit, fit
from pipeline.training.losses import Term


@dataclass(frozen=True)
class Collate:
    """Makes a batch of (place, (feature number, feature)) items.

    The batch holds `input_ids`, `token_type_ids`, `attention_mask` int64 [B, S], the task's labels
    and, where the teacher's outputs are given, those as `teacher_0` and so on in the interface's
    order, float32 [B, S] or [B, C], and `teacher_hidden` float32 [B, layers, S, dim].

    Attributes:
        task: says what the labels are.
        pad_id: of the tokenizer.
        outputs: the teacher's, where it teaches.
        most: tokens of the longest feature of all batches; S is rounded up, and no further.
    """

    task: Task
    pad_id: int
    outputs: TeacherOutputs | None = None
    most: int = 0

    def __call__(self, items: Sequence[tuple[int, tuple[int, Feature]]]) -> Batch:
        """See the class."""
        numbers = [number for _, (number, _) in items]
        features = [feature for _, (_, feature) in items]
        batch = inputs(features, self.pad_id, self.most) | self.task.gold(features)
        if self.outputs is not None:
            batch |= self.outputs.batch(numbers, batch["input_ids"].shape[1])
        return batch


def finetune_teacher(
    task: Task,
    teacher: Any,
    features: Sequence[Feature],
    pad_id: int,
    *,
    optimization: Optimization,
    hardware: Hardware,
    seed: int,
    scratch: Path,
    measure: Measure | None = None,
) -> Fit:
    """Trains a BERT in place on the gold labels (Devlin et al. 2019, section 4)."""

    def loss(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        return {GOLD_LOSS.name: task.gold_loss(_teacher_logits(task, model, batch), batch)}

    return fit(
        teacher.train(),
        _schedule(features, optimization, seed),
        Collate(task, pad_id, most=_longest(features)),
        loss,
        settings=optimization,
        hardware=hardware,
        seed=seed,
        scratch=scratch,
        label="teacher",
        measure=measure,
    )


def finetune_student(
    task: Task,
    student: Any,
    features: Sequence[Feature],
    pad_id: int,
    *,
    outputs: TeacherOutputs | None,
    config: Finetune,
    hardware: Hardware,
    seed: int,
    scratch: Path,
    measure: Measure | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> Fit:
    """Trains the student in place; with `outputs`, the second distillation step."""
    if not config.train_embeddings:
        student.base_model.embeddings.requires_grad_(False)
    segments = student.config.model_type == "bert"

    def loss(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        return student_loss(
            task, model, batch, config, with_teacher=outputs is not None, segments=segments
        )

    result = fit(
        student.train(),
        _schedule(features, config.optimization, seed),
        Collate(task, pad_id, outputs, _longest(features)),
        loss,
        settings=config.optimization,
        hardware=hardware,
        seed=seed,
        scratch=scratch,
        label="student",
        counts=lambda batch: {"hidden": int(batch["attention_mask"].sum())},
        measure=measure,
        callbacks=callbacks,
    )
    student.requires_grad_(True)
    return result


@dataclass(frozen=True)
class StudentStep:
    """What the student's losses are computed from, for one batch of :class:`Collate`.

    Attributes:
        task: says what the losses on logits are.
        batch: the batch, with the teacher's outputs where a loss needs them.
        logits: the student's, in the interface's order: [B, S] with padding masked, or [B, C].
        hidden: the student's hidden states [B, S, dim] of each layer; None if not matched.
        temperature: softens teacher and student.
    """

    task: Task
    batch: Batch
    logits: Sequence[Tensor]
    hidden: Sequence[Tensor] | None
    temperature: float

    def gold(self) -> Tensor:
        """The task's loss on the gold labels."""
        return self.task.gold_loss(self.logits, self.batch)

    def divergence(self) -> Tensor:
        """L_ce from the teacher's logits."""
        taught = [self.batch[f"teacher_{place}"] for place in range(len(self.logits))]
        taught = _masked(self.task, taught, self.batch["attention_mask"])
        return self.task.soft_loss(self.logits, taught, self.temperature)

    def matching(self) -> Tensor:
        """The distance of the hidden states, on all tokens but padding."""
        assert self.hidden is not None
        tokens, taught = self.batch["attention_mask"].bool(), self.batch["teacher_hidden"]
        return losses.hidden_states_loss(
            [states[tokens] for states in self.hidden],
            [taught[:, layer][tokens] for layer in range(taught.shape[1])],
        )


GOLD_LOSS = Term("gold", "alpha_gold", "the gold labels", StudentStep.gold)
STUDENT_LOSS = (
    GOLD_LOSS,
    Term(
        "ce",
        "alpha_ce",
        "the divergence from the teacher's outputs",
        StudentStep.divergence,
        softened=True,
    ),
    Term(
        "hidden",
        "alpha_hidden",
        "the distance from the teacher's hidden states, layer by layer",
        StudentStep.matching,
    ),
)


def student_loss(
    task: Task,
    model: nn.Module,
    batch: Batch,
    config: Finetune,
    *,
    with_teacher: bool,
    segments: bool = False,
) -> dict[str, Tensor]:
    """The weighted parts of the student's loss for one batch of :class:`Collate`.

    Without a teacher that is the loss on the gold labels alone, whatever its weight. A student with
    segments, a BERT, is given those of the batch.
    """
    mask = batch["attention_mask"]
    matching = with_teacher and config.alpha_hidden > 0
    more = {"token_type_ids": batch["token_type_ids"]} if segments else {}
    out = model(
        input_ids=batch["input_ids"], attention_mask=mask, output_hidden_states=matching, **more
    )
    step = StudentStep(
        task,
        batch,
        _logits(task, out, mask),
        out.hidden_states[1:] if matching else None,
        config.temperature,
    )
    if not with_teacher:
        return {GOLD_LOSS.name: GOLD_LOSS.compute(step)}
    return losses.weighted(STUDENT_LOSS, step, config)


def _schedule(features: Sequence[Feature], optimization: Optimization, seed: int) -> Schedule:
    """Numbered features in the order of training."""
    return Schedule(
        list(enumerate(features)),
        [f.length for f in features],
        optimization.batch_size,
        optimization.epochs,
        seed,
    )


def _longest(features: Sequence[Feature]) -> int:
    return max(feature.length for feature in features)


def _teacher_logits(task: Task, model: nn.Module, batch: Batch) -> list[Tensor]:
    """Logits of a BERT in the interface's order, padding masked."""
    out = model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        token_type_ids=batch["token_type_ids"],
    )
    return _logits(task, out, batch["attention_mask"])


def _logits(task: Task, out: Any, mask: Tensor) -> list[Tensor]:
    """What a model of transformers gave, in the interface's order, padding masked."""
    return _masked(task, [out[name] for name in task.head.interface.names], mask)


def _masked(task: Task, logits: Sequence[Tensor], mask: Tensor) -> list[Tensor]:
    """Logits with those of padding out of reach; logits of classes have none."""
    return [
        losses.mask_padding(each, mask) if output.axis == "token" else each
        for output, each in zip(task.head.interface.outputs, logits, strict=True)
    ]
