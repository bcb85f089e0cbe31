# SPDX-License-Identifier: Apache-2.0
"""The one training loop: transformers' Trainer, fed a fixed order of examples and a loss.

What the Trainer gives: mixed precision, gradient accumulation, schedules, many devices under
`torchrun` or `accelerate launch`, checkpoints.  What is added here: an order of examples that
depends on the seed alone, so that a resumed run sees what an undisturbed one sees; checkpoints that
count only when whole; and the choice between fp32 and bf16 by timing both.
"""

from __future__ import annotations

import copy
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset, SequentialSampler
from transformers import (
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from pipeline import ranks
from pipeline.artifacts import write_json
from pipeline.config import Hardware, Optimization
from pipeline.errors import UserError
from pipeline.progress import Progress
from pipeline.training.batches import Batch, Schedule

Loss = Callable[[nn.Module, Batch], dict[str, Tensor]]

MARKER = "complete"  # a checkpoint without this file was cut off while it was written
PART = "loss_"  # before the name of a part of the loss in the log


@dataclass(frozen=True)
class Fit:
    """What a training run reports.

    Attributes:
        steps: optimizer steps.
        examples: examples seen.
        precision: `fp32`, `bf16` or `fp16`.
        losses: mean of each part of the loss over the last logging interval.
    """

    steps: int
    examples: int
    precision: str
    losses: dict[str, float]

    def facts(self) -> dict[str, Any]:
        """Flat scalars for the report."""
        parts = {f"final_{name}": round(value, 4) for name, value in self.losses.items()}
        return {
            "steps": self.steps,
            "examples": self.examples,
            "precision": self.precision,
            **parts,
        }


def fit(
    model: nn.Module,
    examples: Dataset[Any] | IterableDataset[Any],
    collate: Callable[[list[Any]], Batch],
    loss: Loss,
    *,
    settings: Optimization,
    hardware: Hardware,
    seed: int,
    scratch: Path,
    label: str,
    callbacks: Sequence[TrainerCallback] = (),
) -> Fit:
    """Trains `model` in place; goes on from the last whole checkpoint in `scratch`.

    Args:
        model: whose parameters with `requires_grad` are trained.
        examples: a :class:`Schedule`, or a stream, for which `settings.max_steps` is needed.
        collate: makes a batch of a list of items.
        loss: gives the parts of the loss by name; their sum is minimized.
        settings: rates, batch size, epochs.
        hardware: device and precision.
        seed: of dropout.
        scratch: folder for checkpoints; belongs to this run alone.
        label: names the training where its progress is shown.
        callbacks: further ones of the Trainer, called after its own.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    _set_dropout(model, settings)
    precision = ranks.agree(_precision(model, examples, collate, loss, settings, hardware, scratch))
    arguments = TrainingArguments(
        output_dir=str(scratch),
        num_train_epochs=1,  # the schedule holds all epochs
        max_steps=settings.max_steps or -1,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulate,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=settings.warmup,  # below 1 a share of the steps, as transformers has it
        weight_decay=settings.weight_decay,
        adam_beta1=settings.betas[0],
        adam_beta2=settings.betas[1],
        adam_epsilon=settings.epsilon,
        max_grad_norm=settings.max_grad_norm,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        use_cpu=pick_device(hardware.device).type == "cpu",
        seed=seed,
        save_steps=settings.checkpoint_steps,
        save_total_limit=None,  # LossTrainer keeps the newest whole one
        logging_steps=settings.checkpoint_steps,
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=not hardware.progress,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    trainer = LossTrainer(model, arguments, collate, examples, loss, label)
    for callback in callbacks:
        trainer.add_callback(callback)
    trainer.train(resume_from_checkpoint=ranks.agree(_last_checkpoint(scratch)))
    model.eval()
    seen = trainer.state.global_step * settings.batch_size * settings.accumulate * ranks.WORLD
    if settings.max_steps is None and isinstance(examples, Schedule):
        seen = min(seen, len(examples))  # the last batch may be a part of one
    return Fit(
        steps=trainer.state.global_step,
        examples=seen,
        precision=precision,
        losses=trainer.last_parts(),
    )


def _set_dropout(model: nn.Module, settings: Optimization) -> None:
    """Sets the dropout modules for this training; the saved configuration keeps the model's own."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Dropout):
            attention = name.endswith(("attention.self.dropout", "attention.dropout"))
            share = settings.attention_dropout if attention else settings.dropout
            if share is not None:
                module.p = share


class LossTrainer(Trainer):
    """The Trainer with our loss, a fixed order and checkpoints that are whole or not there."""

    def __init__(
        self,
        model: nn.Module,
        arguments: TrainingArguments,
        collate: Callable[[list[Any]], Batch],
        examples: Any,
        loss: Loss,
        label: str,
    ) -> None:
        super().__init__(
            model=model,
            args=arguments,
            data_collator=collate,
            train_dataset=examples,
        )
        self.remove_callback(ProgressCallback)
        self.remove_callback(PrinterCallback)  # prints every line of the log
        if not arguments.disable_tqdm:
            self.add_callback(_ShowProgress(label, self.last_parts))
        self.model_accepts_loss_kwargs = False  # the Trainer divides by the accumulated batches
        self._loss = loss
        self._sums: dict[str, float] = {}
        self._count = 0

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        """In order: the schedule is already shuffled.  A stream has no sampler."""
        dataset = self.train_dataset if train_dataset is None else train_dataset
        return None if isinstance(dataset, IterableDataset) else SequentialSampler(dataset)

    def compute_loss(self, model: nn.Module, inputs: Any, *_: Any, **__: Any) -> Tensor:
        """Sums the parts, remembers each for the log."""
        with self.accelerator.autocast():  # the Trainer's own covers no more than model.forward
            parts = self._parts(model, inputs)
        for name, value in parts.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value.detach())
        self._count += 1
        total = torch.stack(list(parts.values())).sum()
        if not torch.isfinite(total):
            raise FloatingPointError(
                f"the loss became {total.item()} at step {self.state.global_step}: lower the "
                "learning rate or pass --hardware.precision fp32"
            )
        return total

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

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the parts of the loss to each line of the log."""
        if "loss" in logs and self._count:
            logs = {**logs, **{PART + name: value for name, value in self.last_parts().items()}}
            self._sums, self._count = {}, 0
        super().log(logs, start_time)

    def last_parts(self) -> dict[str, float]:
        """The parts of the loss, averaged over the last interval."""
        if self._count:
            return {name: value / self._count for name, value in self._sums.items()}
        logged = [
            entry for entry in self.state.log_history if "loss" in entry
        ]  # also of a resumed run
        last = logged[-1] if logged else {}
        return {n.removeprefix(PART): value for n, value in last.items() if n.startswith(PART)}

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Marks the checkpoint when it is whole, and only then drops the older ones."""
        super()._save_checkpoint(model, trial)
        if not self.is_world_process_zero():
            return
        folder = Path(self.args.output_dir)
        newest = folder / f"checkpoint-{self.state.global_step}"
        (newest / MARKER).touch()
        for other in folder.glob("checkpoint-*"):
            if other != newest:
                shutil.rmtree(other)


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


def _last_checkpoint(scratch: Path) -> str | None:
    """The newest whole checkpoint; half-written ones are removed."""
    whole = []
    for folder in scratch.glob("checkpoint-*"):
        if (folder / MARKER).exists():
            whole.append(folder)
        elif ranks.FIRST:
            shutil.rmtree(folder, ignore_errors=True)
    return str(max(whole, key=lambda f: int(f.name.split("-")[1]))) if whole else None


def _precision(
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
    if hardware.precision == "fp16" and device.type == "cpu":
        raise UserError("--hardware.precision fp16 needs a GPU: take bf16 or fp32 on a CPU")
    if hardware.precision != "auto":
        return hardware.precision
    record = scratch / "precision.json"
    if record.exists():
        return str(json.loads(record.read_text())["precision"])
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if (
        ranks.WORLD > 1
        or device.type != "cpu"
        or not isinstance(examples, Schedule)
        or len(examples) < 4 * settings.batch_size
    ):
        return "fp32"  # nothing to choose from, or too short a run to be worth timing
    seconds = _time_precisions(model, examples, collate, loss, settings.batch_size)
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
                with torch.autocast("cpu", torch.bfloat16, enabled=name == "bf16"):
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
