# SPDX-License-Identifier: Apache-2.0
"""One process, or the many that `torchrun` and `accelerate launch` start: who writes, who waits."""

from __future__ import annotations

import datetime
import os
from typing import TypeVar

T = TypeVar("T")

# A rank waits while the first one converts and measures, which may take a day for many files; a
# launcher ends the others when a rank has died.
PATIENCE = datetime.timedelta(days=7)

RANK = int(os.environ.get("RANK", "0"))
WORLD = int(os.environ.get("WORLD_SIZE", "1"))
FIRST = RANK == 0


def agree(value: T) -> T:
    """The first rank's value, on every rank; with one process the value itself."""
    if WORLD == 1:
        return value
    import torch.distributed as dist

    _join()
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def wait() -> None:
    """Returns when every rank has come here."""
    agree(None)


def _join() -> None:
    """Joins the process group, through accelerate, which the Trainer uses too."""
    from accelerate import PartialState
    from accelerate.utils import InitProcessGroupKwargs

    if not PartialState._shared_state:
        import torch

        arguments = InitProcessGroupKwargs(timeout=PATIENCE).to_kwargs()
        PartialState(cpu=not torch.cuda.is_available(), **arguments)
