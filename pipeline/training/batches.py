# SPDX-License-Identifier: Apache-2.0
"""The order of the examples of a training, and how they become batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

Batch = dict[str, Tensor]


GROUPED_BATCHES = 50  # batches sorted by length together: enough to save padding, few enough to mix
# Lengths of batches, in tokens. Matrix products prepare themselves for each new shape, which takes
# a CPU longer than a few more tokens, and GPUs want multiples of 8.
ALIGNED = 16


class Schedule(Dataset[tuple[int, Any]]):
    """Every example of every epoch in the order of training; item i is (i, example).

    Examples of like length share a batch, as in transformers' length grouping.  The order depends
    on nothing but the arguments.

    Args:
        examples: what is trained on.
        lengths: in tokens, one for each example.
        batch_size: examples in a batch over all devices.
        epochs: may be a fraction.
        seed: of the order.
    """

    def __init__(
        self,
        examples: Sequence[Any],
        lengths: Sequence[int],
        batch_size: int,
        epochs: float,
        seed: int,
    ) -> None:
        self.examples = examples
        self.order = _grouped_order(np.asarray(lengths), batch_size, epochs, seed)

    def __len__(self) -> int:
        """Examples seen in training."""
        return len(self.order)

    def __getitem__(self, i: int) -> tuple[int, Any]:
        """The i-th example of the training, with i, from which a collator can seed its masks."""
        return i, self.examples[int(self.order[i])]


def _grouped_order(lengths: np.ndarray, batch_size: int, epochs: float, seed: int) -> np.ndarray:
    """Indices of examples, int64 [round(epochs * N)], batches of like length, batches shuffled."""
    rng = np.random.default_rng(seed)
    total, count = max(1, round(epochs * len(lengths))), len(lengths)
    flat = np.concatenate([rng.permutation(count) for _ in range(-(-total // count))])[:total]
    ordered = []
    span = batch_size * GROUPED_BATCHES
    for begin in range(0, total, span):
        chunk = flat[begin : begin + span]
        chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
        whole = len(chunk) // batch_size * batch_size
        batches = chunk[:whole].reshape(-1, batch_size)
        ordered += [rng.permutation(batches).reshape(-1), chunk[whole:]]
    return np.concatenate(ordered) if ordered else flat


def aligned(length: int, most: int) -> int:
    """The length rounded up to a multiple of `ALIGNED`, and no longer than `most`."""
    return max(length, min(most, -(-length // ALIGNED) * ALIGNED))


def pad(rows: Sequence[np.ndarray], value: int, length: int | None = None) -> Tensor:
    """Stacks rows: int64 [B, length], the rest filled with `value`; to the longest by default."""
    length = max(len(row) for row in rows) if length is None else length
    stacked = np.full((len(rows), length), value, dtype=np.int64)
    for i, row in enumerate(rows):
        stacked[i, : len(row)] = row
    return torch.from_numpy(stacked)


def attention_mask(rows: Sequence[np.ndarray], length: int | None = None) -> Tensor:
    """int64 [B, length]: 1 on tokens, 0 on padding."""
    return pad([np.ones(len(row), dtype=np.int64) for row in rows], 0, length)


def to_device(batch: Mapping[str, Tensor], model: nn.Module) -> Batch:
    """The batch on the device of the model's parameters."""
    device = next(model.parameters()).device
    return {name: tensor.to(device) for name, tensor in batch.items()}
