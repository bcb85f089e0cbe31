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
    if hardware.precision == "fp16" and device.type == "cpu":
        raise UserError("--hardware.precision fp16 needs a GPU: take bf16 or fp32 on a CPU")
    if hardware.precision != "auto":
        return hardware.precision
    record = scratch / "precision.json"
    if record.exists():
        return str(json.loads(record.read_text())["precision"])
    if device.type == "cuda":
        # Older GPUs emulate bf16, without their tensor cores: slower than fp32.
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16" if native else "fp16"
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
    seconds: dict[str, float] = {"fp32": float("inf"), "bf16": float("inf")}
    with torch.random.fork_rng(devices=[]):
        for attempt in range(3):
            for name in seconds:
                began = time.perf_counter()
                with (
                    attention.fit_for(trial, name, torch.device("cpu")),
                    torch.autocast("cpu", torch.bfloat16, enabled=name == "bf16"),
                ):
                    parts = loss(trial, batch)
                torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
                trial.zero_grad()
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
