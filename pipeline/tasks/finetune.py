# SPDX-License-Identifier: Apache-2.0
"""Learning a task: the teacher's fine-tuning, and the student's second distillation step.

The second step (DistilBERT, arXiv 1910.01108, section 4.1): while it learns the gold labels, the
student also learns from the logits of a teacher already fine-tuned for the task.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.config import Finetune, Hardware, Optimization
from pipeline.tasks.task import Feature, Task
from pipeline.training import losses
from pipeline.training.batches import Batch, Schedule, attention_mask, pad, to_device
from pipeline.training.evaluation import Measure
from pipeline.training.loop import Fit, fit
from pipeline.training.losses import Term


@dataclass(frozen=True)
class Collate:
    """Makes a batch of (place, (feature number, feature)) items.

    The batch holds `input_ids`, `token_type_ids`, `attention_mask` int64 [B, S], the task's labels
    and, where the teacher's outputs are given, those as `teacher_0` and so on in the interface's
    order, float32 [B, S] or [B, C], and `teacher_hidden` float32 [B, layers, S, dim].
    """

    task: Task
    pad_id: int
    outputs: TeacherOutputs | None = None

    def __call__(self, items: Sequence[tuple[int, tuple[int, Feature]]]) -> Batch:
        """See the class."""
        numbers = [number for _, (number, _) in items]
        features = [feature for _, (_, feature) in items]
        rows = [f.ids for f in features]
        batch = {
            "input_ids": pad(rows, self.pad_id),
            "token_type_ids": pad([f.segment_ids for f in features], 0),
            "attention_mask": attention_mask(rows),
            **self.task.gold(features),
        }
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
        Collate(task, pad_id),
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
        Collate(task, pad_id, outputs),
        loss,
        settings=config.optimization,
        hardware=hardware,
        seed=seed,
        scratch=scratch,
        label="student",
        counts=lambda batch: {"hidden": int(batch["attention_mask"].sum())},
        measure=measure,
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


class TeacherOutputs:
    """The teacher's logits and hidden states for every training feature, kept on disk in float16.

    Computed once however many epochs follow, and read through a memory map, a batch at a time.

    Args:
        folder: as :func:`record_outputs` wrote it.
    """

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.begins = np.concatenate([[0], np.cumsum(index["lengths"])])
        total, layers, dim = int(self.begins[-1]), index["layers"], index["dim"]
        self.by_token = index["by_token"]
        rows = total if self.by_token else len(index["lengths"])
        shape = (rows, index["outputs"])
        self.logits = np.memmap(folder / "logits.f16", np.float16, "r", shape=shape)
        self.hidden = (
            np.memmap(folder / "hidden.f16", np.float16, "r", shape=(total, layers, dim))
            if layers
            else None
        )

    def batch(self, numbers: Sequence[int], length: int) -> Batch:
        """The outputs for some features, padded to `length` tokens with zeros."""
        if self.by_token:
            logits = np.zeros((len(numbers), length, self.logits.shape[1]), np.float32)
            for row, number in enumerate(numbers):
                span = slice(self.begins[number], self.begins[number + 1])
                logits[row, : span.stop - span.start] = self.logits[span]
            batch = {
                f"teacher_{place}": torch.from_numpy(logits[:, :, place])
                for place in range(logits.shape[2])
            }
        else:
            classes = np.asarray(self.logits[list(numbers)], np.float32)  # [B, C]
            batch = {"teacher_0": torch.from_numpy(classes)}
        if self.hidden is not None:
            _, layers, dim = self.hidden.shape
            hidden = np.zeros((len(numbers), layers, length, dim), np.float32)
            for row, number in enumerate(numbers):
                span = slice(self.begins[number], self.begins[number + 1])
                block = self.hidden[span].transpose(1, 0, 2)  # [S, layers, dim] -> [layers, S, dim]
                hidden[row, :, : block.shape[1]] = block
            batch["teacher_hidden"] = torch.from_numpy(hidden)
        return batch


def outputs_bytes(
    task: Task, features: Sequence[Feature], labels: int, layers: int, dim: int
) -> int:
    """Disk space of what :func:`record_outputs` writes: logits, and the states of each token."""
    tokens = sum(f.length for f in features)
    logits = (
        tokens * len(task.head.interface.outputs) if _by_token(task) else len(features) * labels
    )
    return 2 * (logits + tokens * layers * dim)


def _by_token(task: Task) -> bool:
    """Whether the task's outputs have a value for each token, or one for each class."""
    return all(output.axis == "token" for output in task.head.interface.outputs)


@torch.no_grad()
def record_outputs(
    task: Task,
    teacher: Any,
    features: Sequence[Feature],
    pad_id: int,
    layers: Sequence[int],
    folder: Path,
    batch_size: int,
    progress: Callable[[Sequence[list[int]]], Iterable[list[int]]] = iter,
) -> dict[str, Any]:
    """Runs the teacher over every feature and writes logits and the hidden states of `layers`.

    Args:
        task: says which outputs there are.
        teacher: fine-tuned; run on the device it is on.
        features: every training window, in the order that the outputs are asked for later.
        pad_id: of the tokenizer.
        layers: teacher layers to keep, none if hidden states are not matched.
        folder: to fill with `index.json`, `logits.f16` [tokens, outputs] or [features, classes],
            and `hidden.f16` [tokens, layers, dim].
        batch_size: windows in a batch.
        progress: may wrap the batches.
    """
    teacher.eval()
    lengths = [f.length for f in features]
    dim = teacher.config.hidden_size
    begins = np.concatenate([[0], np.cumsum(lengths)])
    total, count = int(begins[-1]), 0
    by_token = _by_token(task)
    rows = begins if by_token else np.arange(len(features) + 1)
    # Written, not mapped: a full disk is an error then, where a map would end the process.
    with contextlib.ExitStack() as files:
        logits = files.enter_context((folder / "logits.f16").open("wb"))
        hidden = files.enter_context((folder / "hidden.f16").open("wb")) if layers else None
        for numbers in progress(list(_by_length(lengths, batch_size))):
            batch = to_device(
                Collate(task, pad_id)([(0, (n, features[n])) for n in numbers]), teacher
            )
            out = teacher(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                token_type_ids=batch["token_type_ids"],
                output_hidden_states=bool(layers),
            )
            found = [out[name] for name in task.head.interface.names]
            # [B, S, outputs], or [B, C] -> [B, 1, C]: as if of one token
            values = torch.stack(found, dim=-1) if by_token else found[0][:, None]
            count = values.shape[-1]
            _write_rows(logits, values, numbers, rows)
            if hidden is not None:
                kept = torch.stack([out.hidden_states[layer + 1] for layer in layers], dim=2)
                _write_rows(hidden, kept, numbers, begins)  # [B, S, layers, dim]
    index = {
        "lengths": lengths,
        "layers": len(layers),
        "dim": dim,
        "outputs": count,
        "by_token": by_token,
    }
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
    return {"features": len(features), "tokens": total, "hidden_layers": len(layers)}


def _write_rows(file: BinaryIO, values: Tensor, numbers: list[int], begins: np.ndarray) -> None:
    """Writes values [B, S, ...] of some features, without padding, at their places in float16."""
    halves = values.to(torch.float16).cpu().numpy()
    for row, number in zip(halves, numbers, strict=True):
        length = int(begins[number + 1] - begins[number])
        file.seek(int(begins[number]) * row[0].nbytes)
        file.write(row[:length].tobytes())


def _by_length(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Batches of feature numbers of like length."""
    order = np.argsort(lengths, kind="stable")
    for begin in range(0, len(order), batch_size):
        yield order[begin : begin + batch_size].tolist()
