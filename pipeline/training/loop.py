# SPDX-License-Identifier: Apache-2.0
"""The one training loop: transformers' Trainer, fed a fixed order of examples and a loss.

What the Trainer gives: mixed precision, gradient accumulation, schedules, many devices under
`torchrun` or `accelerate launch`, checkpoints.  What is added here: an order of examples that
depends on the seed alone, so that a resumed run sees what an undisturbed one sees; checkpoints that
count only when whole; and the choice between fp32 and bf16 by timing both.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerState, TrainingArguments
from transformers.integrations import (
    TensorBoardCallback,
    get_available_reporting_integrations,
    is_tensorboard_available,
)

from pipeline import disk, ranks
from pipeline.artifacts import LOSSES, RUNS, SCORES, write_json
from pipeline.config import Hardware, Optimization
from pipeline.errors import UserError
from pipeline.training import attention, evaluation, precision, sharding
from pipeline.training.batches import Batch, Schedule
from pipeline.training.evaluation import STATE, Evaluations, Measure
from pipeline.training.loader import Loader, Split
from pipeline.training.precision import Loss, pick_device
from pipeline.training.stream import Stream
from pipeline.training.trainer import MARKER, Counts, LossTrainer

__all__ = ["MARKER", "Fit", "Loss", "fit", "last_checkpoint", "pick_device"]

TENSORBOARD = "tensorboard"
LOG_STEPS = 50  # unless the settings say otherwise


@dataclass(frozen=True)
class Fit:
    """What a training run reports.

    Attributes:
        steps: optimizer steps.
        examples: examples seen.
        precision: `fp32`, `bf16` or `fp16`.
        losses: mean of each part of the loss over the last logging interval.
        scores: facts of the evaluations, see `Evaluations.finish`; empty without any.
    """

    steps: int
    examples: int
    precision: str
    losses: dict[str, float]
    scores: dict[str, Any] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """Flat scalars for the report."""
        parts = {f"final_{name}": round(value, 4) for name, value in self.losses.items()}
        return {
            "steps": self.steps,
            "examples": self.examples,
            "precision": self.precision,
            **parts,
            **self.scores,
        }


def fit(
    model: Any,
    examples: Schedule | Stream,
    collate: Callable[[list[Any]], Batch],
    loss: Loss,
    *,
    settings: Optimization,
    hardware: Hardware,
    seed: int,
    scratch: Path,
    label: str,
    counts: Counts | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    measure: Measure | None = None,
) -> Fit:
    """Trains `model` in place; goes on from the last whole checkpoint in `scratch`.

    Args:
        model: whose parameters with `requires_grad` are trained; on the CPU if it is sharded, where
            it stays.
        examples: a :class:`Schedule` that was made for batches of this size, or a stream, for which
            `settings.max_steps` is needed.
        collate: makes a batch of a list of items.
        loss: gives the parts of the loss by name; their sum is minimized.
        settings: rates, batch size, epochs.
        hardware: device and precision.
        seed: of dropout.
        scratch: folder for checkpoints; belongs to this run alone.
        label: names the training where its progress is shown.
        counts: gives what each part of the loss is averaged over, such as the tokens of a batch; a
            part that is not named is averaged over the batch's examples.
        callbacks: further ones of the Trainer, called after its own.
        measure: scores the model where the settings ask for it; needed there.

    Raises:
        UserError: the batch is smaller than the number of devices, the device cannot do it, the
            disk has no room for the checkpoints, or there is nothing to score the model with.
    """
    evaluation.check(settings, measure)
    ranks.check(hardware)
    scratch.mkdir(parents=True, exist_ok=True)
    if ranks.FIRST:
        _require_room(model, settings, scratch, label)
    _set_dropout(model, settings)
    if hardware.compile:
        # The encoder alone and in place: losses call the parts of a model, and names stay.
        getattr(model, "base_model", model).compile(dynamic=True)
    attention.keep_memory()
    device = pick_device(hardware.device)
    chosen = precision.choose(model, examples, collate, loss, settings, hardware, scratch)
    chosen = ranks.agree(chosen)
    split = Split(settings.batch_size, ranks.WORLD, settings.device_batch)
    split.check()
    steps = settings.max_steps
    if isinstance(examples, Schedule):
        whole = -(-len(examples) // settings.batch_size)
        steps = min(steps or whole, whole)
    assert steps is not None
    trackers = _trackers(hardware.report_to)
    micro_batches = split.micro_batches(examples)
    if hardware.progress and ranks.FIRST and max(ranks.WORLD, micro_batches) > 1:
        print(f"{label}: {split.described(examples)}", file=sys.stderr)
    recompute = hardware.gradient_checkpointing and hasattr(model, "gradient_checkpointing_enable")
    if recompute:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    logged = settings.log_steps or settings.checkpoint_steps or LOG_STEPS
    arguments = TrainingArguments(
        output_dir=str(scratch),
        max_steps=steps,
        per_device_train_batch_size=-(-settings.batch_size // (micro_batches * ranks.WORLD)),
        gradient_accumulation_steps=micro_batches,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=settings.warmup,  # below 1 a share of the steps, as transformers has it
        weight_decay=settings.weight_decay,
        adam_beta1=settings.betas[0],
        adam_beta2=settings.betas[1],
        adam_epsilon=settings.epsilon,
        max_grad_norm=settings.max_grad_norm,
        bf16=chosen == "bf16",
        fp16=chosen == "fp16",
        use_cpu=device.type == "cpu",
        seed=seed,
        save_steps=settings.checkpoint_steps or steps,
        save_total_limit=None,  # LossTrainer keeps the newest whole one
        logging_steps=logged,
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        ddp_find_unused_parameters=True,  # a loss may leave out a head
        report_to=trackers or "none",
        disable_tqdm=not hardware.progress,
        ignore_data_skip=True,  # the loader begins at the right place
    )
    loader = partial(Loader, examples, collate, split, ranks.RANK, steps, workers=hardware.workers)
    minutes = settings.checkpoint_minutes
    trained: nn.Module = model
    kind = LossTrainer
    if sharding.is_wanted(hardware):
        trained, kind = sharding.Sharded(model, loss, device, chosen), sharding.ShardedTrainer
        loss = sharding.Sharded.__call__
    trainer = kind(trained, arguments, loader, loss, counts, label, minutes)
    for callback in callbacks:
        trainer.add_callback(callback)
    if ranks.FIRST and TENSORBOARD in hardware.report_to and is_tensorboard_available():
        from torch.utils.tensorboard import SummaryWriter

        writer: Any = SummaryWriter(scratch / RUNS)  # type: ignore[no-untyped-call]
        trainer.add_callback(TensorBoardCallback(writer))
    scored = None
    if settings.eval_steps and measure:
        scored = Evaluations(trainer, measure, settings, scratch, label, hardware.progress)
        trainer.add_callback(scored)
    checkpoint = ranks.agree(last_checkpoint(scratch))
    if scored and checkpoint and scored.is_over(checkpoint):
        trainer.state = TrainerState.load_from_json(str(Path(checkpoint) / STATE))
    else:
        with attention.fit_for(trained, chosen, device):
            trainer.train(resume_from_checkpoint=checkpoint)
        trainer.whole()
    if ranks.FIRST:
        (scratch / RUNS).mkdir(exist_ok=True)
        write_json(scratch / RUNS / LOSSES, trainer.history())
        if scored:
            scores = evaluation.scores_of(trainer.state.log_history)
            write_json(scratch / RUNS / SCORES, scores)
    if recompute:
        model.gradient_checkpointing_disable()
    model.eval()
    seen = trainer.state.global_step * settings.batch_size
    if isinstance(examples, Schedule):
        seen = min(seen, len(examples))  # the last batch may be a part of one
    return Fit(
        steps=trainer.state.global_step,
        examples=seen,
        precision=chosen,
        losses=trainer.last_parts(),
        scores=scored.finish() if scored else {},
    )


def _require_room(model: nn.Module, settings: Optimization, scratch: Path, label: str) -> None:
    """Raises a UserError where the checkpoints of a training do not fit the disk."""
    weights = sum(each.numel() for each in model.parameters())
    trained = sum(each.numel() for each in model.parameters() if each.requires_grad)
    size = 2 * (disk.WEIGHT * weights + (disk.CHECKPOINT - disk.WEIGHT) * trained)
    size += 2 * disk.WEIGHT * weights * settings.keep_best
    disk.require(scratch, 1e-9 * size, f"the checkpoints of {label}", there=scratch)


def _trackers(wanted: Sequence[str]) -> list[str]:
    """The trackers that the Trainer itself starts: all that are asked for but TensorBoard.

    Raises:
        UserError: transformers does not know one, or its package is not installed.
    """
    others = [name for name in wanted if name not in (TENSORBOARD, "none")]
    there = get_available_reporting_integrations()
    for name in others:
        if name not in there:
            raise UserError(
                f"--hardware.report-to {name}: transformers knows no such tracker, or its package "
                f"is not installed; there are {', '.join(there) or 'none'}"
            )
    return others


def _set_dropout(model: nn.Module, settings: Optimization) -> None:
    """Sets the dropout modules for this training; the saved configuration keeps the model's own."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Dropout):
            attention = name.endswith(("attention.self.dropout", "attention.dropout"))
            share = settings.attention_dropout if attention else settings.dropout
            if share is not None:
                module.p = share


def last_checkpoint(scratch: Path) -> str | None:
    """The newest whole checkpoint; half-written ones are removed."""
    whole = []
    for folder in scratch.glob("checkpoint-*"):
        if (folder / MARKER).exists():
            whole.append(folder)
        elif ranks.FIRST:
            shutil.rmtree(folder, ignore_errors=True)
    return str(max(whole, key=lambda f: int(f.name.split("-")[1]))) if whole else None
