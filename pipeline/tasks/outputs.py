# SPDX-License-Identifier: Apache-2.0
"""What the teacher says of every training input: computed once, kept on disk, read by the batch.

The second distillation step (DistilBERT, arXiv 1910.01108, section 4.1) compares the student with
it however many epochs it takes.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from pipeline.config import Hardware
from pipeline.tasks.task import Feature, Task
from pipeline.training import attention, precision
from pipeline.training.batches import Batch, aligned, attention_mask, pad, to_device

LOGITS, HIDDEN, INDEX = "logits.f32", "hidden.f16", "index.json"
TOGETHER = 32  # windows of a pass without gradients, at least: a sixth faster than 8 on a CPU


def inputs(features: Sequence[Feature], pad_id: int, most: int = 0) -> Batch:
    """`input_ids`, `token_type_ids` and `attention_mask` of some features, int64 [B, S].

    Args:
        features: of the batch.
        pad_id: of the tokenizer.
        most: tokens of the longest feature of all batches; S is rounded up, and no further.
    """
    rows = [f.ids for f in features]
    length = aligned(max(map(len, rows)), most)
    return {
        "input_ids": pad(rows, pad_id, length),
        "token_type_ids": pad([f.segment_ids for f in features], 0, length),
        "attention_mask": attention_mask(rows, length),
    }


class TeacherOutputs:
    """The teacher's logits and hidden states for every training feature, kept on disk.

    They are read through a memory map.

    Args:
        folder: as :func:`record_outputs` wrote it.
    """

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        self.begins = np.concatenate([[0], np.cumsum(index["lengths"])])
        total, layers, dim = int(self.begins[-1]), index["layers"], index["dim"]
        self.by_token = index["by_token"]
        rows = total if self.by_token else len(index["lengths"])
        shape = (rows, index["outputs"])
        self.logits = np.memmap(folder / LOGITS, np.float32, "r", shape=shape)
        self.hidden = (
            np.memmap(folder / HIDDEN, np.float16, "r", shape=(total, layers, dim))
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


def disk_bytes(task: Task, features: Sequence[Feature], labels: int, layers: int, dim: int) -> int:
    """Disk space of what :func:`record_outputs` writes: logits, and the states of each token."""
    tokens = sum(f.length for f in features)
    logits = (
        tokens * len(task.head.interface.outputs) if _by_token(task) else len(features) * labels
    )
    return 4 * logits + 2 * tokens * layers * dim


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
    hardware: Hardware,
    progress: Callable[[Sequence[list[int]]], Iterable[list[int]]] = iter,
) -> dict[str, Any]:
    """Runs the teacher over every feature and writes logits and the hidden states of `layers`.

    Args:
        task: says which outputs there are.
        teacher: fine-tuned; run on the device it is on.
        features: every training window, in the order that the outputs are asked for later.
        pad_id: of the tokenizer.
        layers: teacher layers to keep, none if hidden states are not matched.
        folder: to fill with `index.json`, `logits.f32` [tokens, outputs] or [features, classes],
            and `hidden.f16` [tokens, layers, dim].
        batch_size: windows that fit in a batch of training; without gradients, 32 do in any case.
        hardware: says in which precision the teacher is run.
        progress: may wrap the batches.
    """
    teacher.eval()
    lengths = [f.length for f in features]
    dim = teacher.config.hidden_size
    begins = np.concatenate([[0], np.cumsum(lengths)])
    total, count, longest = int(begins[-1]), 0, max(lengths, default=0)
    by_token = _by_token(task)
    rows = begins if by_token else np.arange(len(features) + 1)
    batches = list(_by_length(lengths, max(batch_size, TOGETHER)))

    def run(numbers: Sequence[int], kind: str) -> Any:
        some = [features[number] for number in numbers]
        batch = to_device(inputs(some, pad_id, longest), teacher)
        with precision.autocast(kind, teacher.device):
            return teacher(**batch, output_hidden_states=bool(layers))

    typical = batches[len(batches) // 2]
    kind = precision.of_passes(
        lambda kind: run(typical, kind), len(batches), hardware, teacher.device
    )
    # Written, not mapped: a full disk is an error then, where a map would end the process.
    with contextlib.ExitStack() as files:
        files.enter_context(attention.fit_for(teacher, kind, teacher.device))
        logits = files.enter_context((folder / LOGITS).open("wb"))
        hidden = files.enter_context((folder / HIDDEN).open("wb")) if layers else None
        for numbers in progress(batches):
            out = run(numbers, kind)
            found = [out[name] for name in task.head.interface.names]
            # [B, S, outputs], or [B, C] -> [B, 1, C]: as if of one token
            values = torch.stack(found, dim=-1) if by_token else found[0][:, None]
            count = values.shape[-1]
            _write_rows(logits, values.float(), numbers, rows)
            if hidden is not None:
                kept = torch.stack([out.hidden_states[layer + 1] for layer in layers], dim=2)
                _write_rows(hidden, kept.half(), numbers, begins)  # [B, S, layers, dim]
    index = {
        "lengths": lengths,
        "layers": len(layers),
        "dim": dim,
        "outputs": count,
        "by_token": by_token,
    }
    (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")
    return {
        "features": len(features),
        "tokens": total,
        "hidden_layers": len(layers),
        "precision": kind,
    }


def _write_rows(file: BinaryIO, values: Tensor, numbers: list[int], begins: np.ndarray) -> None:
    """Writes values [B, S, ...] of some features, without padding, at their places."""
    for row, number in zip(values.cpu().numpy(), numbers, strict=True):
        length = int(begins[number + 1] - begins[number])
        file.seek(int(begins[number]) * row[0].nbytes)
        file.write(row[:length].tobytes())


def _by_length(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Batches of feature numbers of like length."""
    order = np.argsort(lengths, kind="stable")
    for begin in range(0, len(order), batch_size):
        yield order[begin : begin + batch_size].tolist()
