# SPDX-License-Identifier: Apache-2.0
"""One process, or the many that `torchrun` and `accelerate launch` start: who writes, who waits."""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.config import Hardware

T = TypeVar("T")

# A rank waits while the first one converts and measures, which may take a day for many files; a
# launcher ends the others when a rank has died.
PATIENCE = datetime.timedelta(days=7)


def _number(name: str, default: int) -> int:
    """A whole number that a launcher left in the environment; anything else ends the process."""
    given = os.environ.get(name, "").strip() or str(default)
    if not (given.isascii() and given.isdigit()):
        print(
            f"error: the variable {name} is {given[:40]!a}, which no launcher sets: unset it",
            file=sys.stderr,
        )
        raise SystemExit(2)
    return int(given)


RANK = _number("RANK", 0)
WORLD = _number("WORLD_SIZE", 1)
FIRST = RANK == 0
FSDP = "ACCELERATE_USE_FSDP"  # set by `accelerate launch` for a file with distributed_type FSDP


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


def problems(hardware: Hardware) -> Iterator[str]:
    """What keeps several processes from training with these settings, a line each."""
    if os.environ.get(FSDP, "").strip().lower() in ("1", "true", "yes", "y", "on", "t"):
        yield (
            f"{FSDP} is set, and this build shards models in another way: unset it, or take "
            "distributed_type MULTI_GPU in the file of accelerate, and pass --hardware.shard"
        )
    if hardware.shard and hardware.compile:
        yield "--hardware.shard and --hardware.compile do not go together: leave one of them out"


def notes(hardware: Hardware) -> Iterator[str]:
    """What the user should know of these settings, a line each."""
    if hardware.shard and WORLD == 1:
        yield (
            "--hardware.shard: one process trains whole models; start several with torchrun, which "
            "share them"
        )


def check(hardware: Hardware) -> None:
    """Raises a UserError with all of :func:`problems`."""
    if found := [*problems(hardware)]:
        raise UserError("; ".join(found))


def _join() -> None:
    """Joins the process group, through accelerate, which the Trainer uses too."""
    from accelerate import PartialState
    from accelerate.utils import InitProcessGroupKwargs

    if not PartialState._shared_state:
        import torch

        arguments = InitProcessGroupKwargs(timeout=PATIENCE).to_kwargs()
        PartialState(cpu=not torch.cuda.is_available(), **arguments)
