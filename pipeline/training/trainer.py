# SPDX-License-Identifier: Apache-2.0
"""The Trainer of transformers with our loss, order of examples and checkpoints."""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from pipeline import ranks
from pipeline.progress import Progress
from pipeline.training import shared
from pipeline.training.batches import Batch
from pipeline.training.loader import Loader
from pipeline.training.precision import Loss

Counts = Callable[[Batch], Mapping[str, int]]

MARKER = "complete"  # a checkpoint without this file was cut off while it was written
PART = "loss_"  # before the name of a part of the loss in the log
EXAMPLES = ""  # the count that parts of the loss without one of their own are averaged over


class LossTrainer(Trainer):
    """The Trainer with our loss, a fixed order and checkpoints that are whole or not there."""

    def __init__(
        self,
        model: nn.Module,
        arguments: TrainingArguments,
        loader: Callable[[Callable[[], int]], Loader],
        loss: Loss,
        counts: Counts | None,
        label: str,
        minutes: float,
    ) -> None:
        super().__init__(model=model, args=arguments, train_dataset=())
        self.remove_callback(ProgressCallback)
        self.remove_callback(PrinterCallback)  # prints every line of the log
        self.add_callback(_StepEnds(self))
        if not arguments.disable_tqdm:
            self.add_callback(_ShowProgress(label, self._own_parts))
        self.model_accepts_loss_kwargs = False  # the Trainer divides by the micro-batches
        self._loader, self._loss, self._counts = loader, loss, counts
        self._shares: deque[tuple[dict[str, float], bool]] = deque()
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._finite: Tensor | None = None
        self._interval, self._saved = 60 * minutes, time.monotonic()
        self._tokens, self._logged = 0.0, time.monotonic()  # since the last line of the log
        self._due = False  # whether this step ends with a checkpoint

    def get_train_dataloader(self) -> Any:
        """Micro-batches from the step on that a checkpoint ended with."""
        return self._loader(lambda: self.state.global_step)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: Any
    ) -> tuple[list[Batch], None]:
        """The micro-batches of a step; finds the share of each in the whole batch.

        A mean over a part of the batch counts by how many tokens or examples it is over, so that
        the sum over all devices and micro-batches is the mean over the batch.
        """
        micro = [next(epoch_iterator) for _ in range(num_batches)]
        counted = [self._count(batch) if real else None for batch, real in micro]
        names = sorted(next(filter(None, counted), self._count(micro[0][0])))
        own = [[0 if each is None else each[name] for name in names] for each in counted]
        tokens = sum(_tokens(batch) for batch, real in micro if real)
        late = ranks.FIRST and time.monotonic() - self._saved >= self._interval
        sums = torch.tensor([*map(sum, zip(*own, strict=True)), tokens, late], dtype=torch.float64)
        if self.args.world_size > 1:
            if device.type == "mps":
                sums = sums.float()
            sums = sums.to(device)
            torch.distributed.all_reduce(sums)
        *wholes, tokens, self._due = sums.tolist()
        self._tokens += tokens
        self._shares.extend(
            (
                {n: c / w if w else 1.0 for n, c, w in zip(names, row, wholes, strict=True)},
                real,
            )
            for row, (_, real) in zip(own, micro, strict=True)
        )
        return [batch for batch, _ in micro], None

    def _count(self, batch: Batch) -> Mapping[str, int]:
        examples = len(next(iter(batch.values())))
        return {EXAMPLES: examples, **(self._counts(batch) if self._counts else {})}

    def compute_loss(self, model: nn.Module, inputs: Any, *_: Any, **__: Any) -> Tensor:
        """Sums the parts, each by the share of the micro-batch, and remembers them for the log."""
        shares, real = self._shares.popleft()
        # The Trainer's own autocast covers no more than model.forward.
        with self.accelerator.autocast(), shared.summing(real):
            parts = self._parts(model, inputs)
        # Gradients are averaged over devices, and the Trainer divides by the micro-batches.
        scale = self.args.world_size * self.args.gradient_accumulation_steps
        scaled = []
        for name, value in parts.items():
            share = shares.get(name, shares[EXAMPLES])
            seen = value.detach().to(torch.float32 if value.device.type == "mps" else torch.float64)
            self._sums[name] = self._sums.get(name, 0.0) + share * seen
            scaled.append((scale * share) * value)
        total = torch.stack(scaled).sum()
        finite = torch.isfinite(total.detach())
        self._finite = finite if self._finite is None else self._finite & finite
        return total

    def end_step(self) -> None:
        """Raises FloatingPointError where the loss of the step is no number."""
        self._steps += 1
        if self._finite is not None and not self._finite:
            raise FloatingPointError(
                f"the loss became infinite or no number at step {self.state.global_step}: lower "
                "the learning rate or pass --hardware.precision fp32"
            )
        self._finite = None

    def _parts(self, model: nn.Module, inputs: Any) -> dict[str, Tensor]:
        """The parts of the loss; among many devices by way of the wrapper's forward.

        A wrapper adds up the gradients of what went through its own forward and of nothing else,
        while a loss may call any part of the bare model.
        """
        bare: Any = self.accelerator.unwrap_model(model)
        if bare is model or isinstance(model, nn.DataParallel):
            return self._loss(bare, inputs)
        forward = bare.forward

        def redirected(batch: Batch) -> dict[str, Tensor]:
            bare.forward = forward
            return self._loss(bare, batch)

        bare.forward = redirected
        try:
            parts: dict[str, Tensor] = model(inputs)
            return parts
        finally:
            bare.forward = forward

    def whole(self) -> nn.Module:
        """The model itself, with the weights as they are now; every device must call it."""
        bare: nn.Module = self.accelerator.unwrap_model(self.model)
        return bare

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the parts of the loss to each line of the log."""
        if "loss" in logs and self._steps:
            logs = {**logs, **{PART + name: value for name, value in self.last_parts().items()}}
            logs |= self._speed()
            self._sums, self._steps = {}, 0
        super().log(logs, start_time)

    def pause(self, seconds: float) -> None:
        """Leaves seconds that were not spent on training out of the speed."""
        self._logged += seconds

    def _speed(self) -> dict[str, float]:
        """Tokens a second over all devices since the last log, and the time left at this speed."""
        now = time.monotonic()
        seconds, self._logged = max(1e-9, now - self._logged), now
        tokens, self._tokens = self._tokens, 0.0
        left = (self.state.max_steps - self.state.global_step) * seconds / self._steps
        found = {"hours_left": round(left / 3600, 4)}
        return found | ({"tokens_per_second": round(tokens / seconds, 1)} if tokens else {})

    def last_parts(self) -> dict[str, float]:
        """The parts of the loss over all devices, averaged over the last interval.

        Every device must call it.
        """
        if self._steps:
            return self._own_parts(self.args.world_size > 1)
        logged = [
            entry for entry in self.state.log_history if "loss" in entry
        ]  # also of a resumed run
        last = logged[-1] if logged else {}
        return {n.removeprefix(PART): value for n, value in last.items() if n.startswith(PART)}

    def history(self) -> list[dict[str, Any]]:
        """The losses of each line of the log: `step`, `loss` and `parts`."""
        return [
            {
                "step": line["step"],
                "loss": line["loss"],
                "parts": {n.removeprefix(PART): v for n, v in line.items() if n.startswith(PART)},
            }
            for line in self.state.log_history
            if "loss" in line
        ]

    def _own_parts(self, everywhere: bool = False) -> dict[str, float]:
        """The parts since the last log: this device's share of them, or all devices'."""
        if not self._sums:
            return {}
        sums = torch.stack(list(self._sums.values()))
        if everywhere:
            torch.distributed.all_reduce(sums)
        means = (sums / max(1, self._steps)).tolist()
        return dict(zip(self._sums, means, strict=True))

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Marks the checkpoint when it is whole, and only then drops the older ones."""
        super()._save_checkpoint(model, trial)
        self._saved = time.monotonic()
        if not self.is_world_process_zero():
            return
        folder = Path(self.args.output_dir)
        newest = folder / f"checkpoint-{self.state.global_step}"
        (newest / MARKER).touch()
        for other in folder.glob("checkpoint-*"):
            if other != newest:
                shutil.rmtree(other)


def _tokens(batch: Batch) -> int:
    """Tokens of a batch without padding; 0 where it does not say."""
    return int(batch["attention_mask"].sum()) if "attention_mask" in batch else 0


class _StepEnds(TrainerCallback):
    """Checks the loss of each step, and saves a checkpoint where it is time."""

    def __init__(self, trainer: LossTrainer) -> None:
        self.trainer = trainer

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Before the weights change: a loss that is no number must not reach them."""
        self.trainer.end_step()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Saves where all devices agreed to, before the step."""
        if self.trainer._due:
            control.should_save = True


class _ShowProgress(TrainerCallback):
    """Shows the optimizer steps under the stage's name, with the mean loss since the last log."""

    def __init__(self, label: str, parts: Callable[[], dict[str, float]]) -> None:
        self.label, self.parts = label, parts

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begins where the checkpoint ended."""
        self.progress = Progress(
            self.label, begin=state.global_step, shown=state.is_world_process_zero
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Goes on by one step."""
        loss = sum(self.parts().values())
        self.progress(state.global_step, state.max_steps, f"loss {loss:.3g}")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Takes the bar away."""
        self.progress.close()
