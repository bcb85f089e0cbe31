# SPDX-License-Identifier: Apache-2.0
"""Sums over all devices, for what a loss must know of the whole batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

_states: list[bool] = []  # whether this device's examples count, in the innermost `summing`


@contextlib.contextmanager
def summing(counted: bool) -> Iterator[None]:
    """Within it, :func:`total` adds up over all devices.

    Args:
        counted: False where this device has no examples of its own and only takes part.
    """
    _states.append(counted)
    try:
        yield
    finally:
        _states.pop()


def is_shared() -> bool:
    """Whether other devices hold a part of the batch."""
    return bool(_states) and torch.distributed.is_initialized()


def total(value: Tensor) -> Tensor:
    """The sum of a tensor over all devices that have examples; without gradient.

    Every device must call it equally often.  Outside of :func:`summing`, and with one process, it
    returns the tensor.
    """
    if not is_shared():
        return value
    value = value.detach().clone() if _states[-1] else torch.zeros_like(value)
    torch.distributed.all_reduce(value)
    return value
