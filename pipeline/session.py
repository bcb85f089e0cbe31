# SPDX-License-Identifier: Apache-2.0
"""What every stage begins with: device, threads, seeds; and how it shows progress."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pipeline.config import Build
from pipeline.progress import tracked

T = TypeVar("T")


def prepare(build: Build) -> Any:
    """Sets threads, seeds and determinism; returns the device."""
    import torch
    from transformers import logging, set_seed

    from pipeline.training.loop import pick_device

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if build.hardware.threads:
        torch.set_num_threads(build.hardware.threads)
    set_seed(build.seed)
    torch.use_deterministic_algorithms(build.hardware.deterministic, warn_only=True)
    # PyTorch then fills new memory, for operations that read it before they write it. None here
    # does, and filling takes a twentieth of a step on CPUs.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    device = pick_device(build.hardware.device)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if build.hardware.tf32 else "highest")
    return device


def torch_predictor(build: Build, folder: Path) -> Any:
    """A model of the build in PyTorch, on the build's device."""
    from converters.pretrained import load_with_head
    from converters.runtimes.torch import TorchPredictor

    model = load_with_head(folder)
    return TorchPredictor(model.to(prepare(build)), folder.name)


def progress(build: Build, items: Sequence[T], label: str, unit: str) -> Iterator[T]:
    """The items, with progress shown as `unit` after `unit` unless the settings forbid it."""
    return tracked(items, label, unit=unit, shown=build.hardware.progress)
