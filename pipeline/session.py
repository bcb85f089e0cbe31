# SPDX-License-Identifier: Apache-2.0
"""What every stage begins with: device, threads, seeds, limits; and the progress bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.config import Build

if TYPE_CHECKING:
    from pipeline.tasks.question_answering.features import Limits


def limits(build: Build) -> Limits:
    """How passages are cut, from the settings."""
    from pipeline.tasks.question_answering.features import Limits

    data = build.data
    return Limits(data.max_length, data.stride, data.max_query, data.max_answer, data.n_best)


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
    torch.use_deterministic_algorithms(True, warn_only=True)
    return pick_device(build.hardware.device)


def progress(build: Build, items: Sequence[Any], label: str) -> Iterator[Any]:
    """The items under a progress bar."""
    from tqdm import tqdm

    yield from tqdm(items, desc=label, leave=False, disable=not build.hardware.progress)


class Bar:
    """A progress bar that is told (done, total)."""

    def __init__(self, build: Build, label: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(desc=label, leave=False, disable=not build.hardware.progress)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __call__(self, done: int, total: int) -> None:
        """Moves the bar."""
        self._bar.total = total
        self._bar.update(done - self._bar.n)
