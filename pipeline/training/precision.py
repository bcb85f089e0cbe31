# SPDX-License-Identifier: Apache-2.0
"""The device of a training, and the precision that is fastest there."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline import ranks
from pipeline.artifacts import write_json
from pipeline.config import Hardware, Optimization
from pipeline.errors import UserError
from pipeline.training import attention
from pipeline.training.batches import Batch, Schedule

CPU = torch.device("cpu")
HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}
WORTH_TIMING = 64  # passes: timing takes six
Loss = Callable[[nn.Module, Batch], dict[str, Tensor]]


def choose(
    model: nn.Module,
    examples: Any,
    collate: Callable[[list[Any]], Batch],
    loss: Loss,
    settings: Optimization,
    hardware: Hardware,
    scratch: Path,
) -> str:
    """The precision asked for, or the faster of fp32 and bf16 on this machine.

    On CPUs neither always wins: it depends on the instruction set and on the sizes.  The choice is
    kept in `scratch`, so that a resumed run goes on as it began.
    """
    device = pick_device(hardware.device)
    size = min(settings.device_batch or settings.batch_size, settings.batch_size)
    if (asked := _asked(hardware, device)) is not None:
        return asked
    record = scratch / "precision.json"
    if record.exists():
        return str(json.loads(record.read_text())["precision"])
    if device.type == "cuda":
        return _native()
    if (
        ranks.WORLD > 1
        or device.type != "cpu"
        or not isinstance(examples, Schedule)
        or len(examples) < 4 * size
    ):
        if ranks.FIRST and ranks.WORLD > 1:  # one process may resume the run
            write_json(record, {"precision": "fp32"})
        return "fp32"  # nothing to choose from, or too short a run to be worth timing
    seconds = _time_precisions(model, examples, collate, loss, size)
    chosen = min(seconds, key=lambda name: seconds[name])
    write_json(record, {"precision": chosen, "seconds_per_step": seconds})
    return chosen


def of_passes(
    run: Callable[[str], object], count: int, hardware: Hardware, device: torch.device
) -> str:
    """The precision asked for, or the faster of fp32 and bf16 for passes without gradients.

    Args:
        run: makes one pass in the precision it is given.
        count: how many there will be; a few are not worth timing.
        hardware: the settings.
        device: that the model is on.
    """
    if (asked := _asked(hardware, device)) is not None:
        return asked
    if device.type == "cuda":
        return _native()
    if device.type != "cpu" or count < WORTH_TIMING:
        return "fp32"
    seconds = _timed(run)
    return min(seconds, key=lambda name: seconds[name])


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Within it operations run in a precision; fp32 leaves all as it is."""
    kind = HALVES.get(precision)
    return torch.autocast(device.type, kind, enabled=kind is not None)


def _asked(hardware: Hardware, device: torch.device) -> str | None:
    """The precision that the settings name; None for `auto`.

    Raises:
        UserError: fp16 on a CPU.
    """
    if hardware.precision == "fp16" and device.type == "cpu":
        raise UserError("--hardware.precision fp16 needs a GPU: take bf16 or fp32 on a CPU")
    return None if hardware.precision == "auto" else hardware.precision


def _native() -> str:
    """What the GPU is made for: older ones emulate bf16, without their tensor cores."""
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def _time_precisions(
    model: nn.Module,
    examples: Schedule,
    collate: Callable[[list[Any]], Batch],
    loss: Loss,
    size: int,
) -> dict[str, float]:
    """Seconds of a step in each precision: the better of two after a warm-up, in turn."""
    trial = copy.deepcopy(model).cpu().train()
    middle = len(examples) // 2 // size * size  # the schedule begins with no typical batch
    batch = collate([examples[i] for i in range(middle, middle + size)])

    def step(name: str) -> None:
        with attention.fit_for(trial, name, CPU), autocast(name, CPU):
            parts = loss(trial, batch)
        torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
        trial.zero_grad()

    with torch.random.fork_rng(devices=[]):
        return _timed(step)


def _timed(run: Callable[[str], object]) -> dict[str, float]:
    """Seconds of a run in fp32 and in bf16: the better of two after a warm-up, in turn."""
    seconds: dict[str, float] = {"fp32": float("inf"), "bf16": float("inf")}
    for attempt in range(3):
        for name in seconds:
            began = time.perf_counter()
            run(name)
            if attempt:  # the first round pays for allocations
                seconds[name] = min(seconds[name], time.perf_counter() - began)
    return {name: round(value, 4) for name, value in seconds.items()}


def pick_device(wanted: str) -> torch.device:
    """The device asked for, or for `auto` the best there is; a UserError where there is none."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(wanted, True):
        raise UserError(f"--hardware.device {wanted}: PyTorch finds none here; take auto or cpu")
    if wanted in ("cpu", "mps"):
        return torch.device(wanted)
    if there["cuda"]:
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("mps" if there["mps"] else "cpu")
