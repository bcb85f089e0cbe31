# SPDX-License-Identifier: Apache-2.0
"""The score of a model while it trains: measured every few steps, and the best weights kept.

What is known of the scores is read from the log of the Trainer, which every checkpoint holds.  So a
run that resumes goes on with the scores, the best weights and the patience of its checkpoint.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import nn
from transformers import TrainerCallback

from converters import whole_file
from pipeline import ranks
from pipeline.config import Optimization
from pipeline.errors import UserError
from pipeline.training.trainer import LossTrainer

# Scores a model in evaluation mode: the name of the metric, of which more is better, and its value.
Measure = Callable[[Any], tuple[str, float]]

SCORE = "eval_"  # before the metric's name in the log
BEST = "best-{}.safetensors"  # the weights of a step, in the scratch folder
STATE = "trainer_state.json"  # of a checkpoint


def check(settings: Optimization, measure: Measure | None) -> None:
    """Raises a UserError where scores are asked of a training that has no metric."""
    if settings.eval_steps and measure is None:
        raise UserError(
            "optimization.eval_steps: this training has no metric; leave it out, or set it for the "
            "teacher or the student of a build"
        )


def scores_of(log: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """`step`, `metric` and `score` of each evaluation in the Trainer's log, in its order."""
    return [
        {"step": line["step"], "metric": name.removeprefix(SCORE), "score": value}
        for line in log
        for name, value in line.items()
        if name.startswith(SCORE)
    ]


def best_of(scores: Sequence[Mapping[str, Any]]) -> int:
    """The place of the first evaluation with the highest score; -1 where there is none."""
    return max(range(len(scores)), key=lambda place: scores[place]["score"], default=-1)


class Evaluations(TrainerCallback):
    """Scores the model every `eval_steps` and at the end of a training.

    The first rank measures, and all ranks take its figure, so that they all decide the same.

    Args:
        trainer: whose model is scored.
        measure: scores it.
        settings: how often, whether the best weights are kept, and the patience.
        scratch: holds the best weights.
        label: names the training where its progress is shown.
        shown: whether it is.
    """

    def __init__(
        self,
        trainer: LossTrainer,
        measure: Measure,
        settings: Optimization,
        scratch: Path,
        label: str,
        shown: bool,
    ) -> None:
        self.trainer, self.measure, self.settings = trainer, measure, settings
        self.scratch, self.label, self.shown = scratch, label, shown and ranks.FIRST

    def is_over(self, checkpoint: str | None) -> bool:
        """Whether a checkpoint was the last of a training that ended early."""
        if checkpoint is None:
            return False
        state = json.loads((Path(checkpoint) / STATE).read_text(encoding="utf-8"))
        return self._is_exhausted(scores_of(state["log_history"]))

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Scores the model where it is time, and ends the training where the patience is over."""
        step, every = state.global_step, self.settings.eval_steps
        assert every is not None
        if step % every and step != state.max_steps:
            return
        began = time.monotonic()
        model = self.trainer.whole()
        metric, score = ranks.agree(self._measured(model) if ranks.FIRST else ("", 0.0))
        due = control.should_log  # which a line of the log takes back
        self.trainer.log({SCORE + metric: score})
        control.should_log = due
        scores = scores_of(state.log_history)
        best = scores[best_of(scores)]
        if best["step"] == step and self.settings.keep_best and ranks.FIRST:
            self._keep(step, model)
        is_over = self._is_exhausted(scores) and step < state.max_steps
        if is_over:
            control.should_training_stop = control.should_save = control.should_log = True
        if self.shown:
            self._tell(scores[-1], best, is_over)
        self.trainer.pause(time.monotonic() - began)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Drops the weights that neither this checkpoint nor a later one needs."""
        if ranks.FIRST:
            self._drop_all_but_best()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Drops the weights of steps that a resumed run takes anew."""
        if ranks.FIRST:
            self._drop_all_but_best()

    def finish(self) -> dict[str, Any]:
        """Puts the best weights into the model where they are kept.

        Every rank must call it.

        Returns:
            Facts for the report: the last score, or the best one and its step, and whether the
            training ended early.
        """
        scores = scores_of(self.trainer.state.log_history)
        kept = scores[best_of(scores) if self.settings.keep_best else -1]
        facts = {SCORE + kept["metric"]: round(kept["score"], 2)}
        if self.settings.keep_best:
            facts["best_step"] = kept["step"]
            ranks.wait()
            best = safetensors.torch.load_file(self._file(kept["step"]))
            self.trainer.whole().load_state_dict(best)
        if self._is_exhausted(scores) and scores[-1]["step"] < self.trainer.args.max_steps:
            facts["ended_early"] = f"after {self._counted()} without a gain"
        return facts

    def _measured(self, model: nn.Module) -> tuple[str, float]:
        """The score of the model in float32, as the gates compute it, whatever it trains in."""
        place = next(model.parameters()).device  # a model that is sharded is on the CPU
        wrapped = vars(model).pop("forward", None)  # accelerate's, with its autocast
        was_training = model.training
        try:
            metric, score = self.measure(model.eval().to(self.trainer.args.device))
        finally:
            model.train(was_training).to(place)
            if wrapped is not None:
                model.forward = wrapped
        if not math.isfinite(score):
            raise FloatingPointError(
                f"the {metric} of the {self.label} is no number at step "
                f"{self.trainer.state.global_step}"
            )
        return metric, score

    def _is_exhausted(self, scores: Sequence[Mapping[str, Any]]) -> bool:
        """Whether as many evaluations as the patience came after the best one."""
        patience = self.settings.patience
        return patience is not None and len(scores) - 1 - best_of(scores) >= patience > 0

    def _keep(self, step: int, model: nn.Module) -> None:
        state = model.state_dict()
        # Cloned: safetensors refuses tensors that share their memory, as those of some heads do.
        tensors = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
        whole_file.write(self._file(step), safetensors.torch.save(tensors))

    def _file(self, step: int) -> Path:
        return self.scratch / BEST.format(step)

    def _drop_all_but_best(self) -> None:
        scores = scores_of(self.trainer.state.log_history)
        needed = self._file(scores[best_of(scores)]["step"]) if scores else None
        for path in self.scratch.glob(BEST.format("*")):
            if path != needed:
                path.unlink()

    def _tell(self, now: Mapping[str, Any], best: Mapping[str, Any], is_over: bool) -> None:
        from tqdm import tqdm

        line = f"{self.label}: {now['metric']} {now['score']:.2f} at step {now['step']}"
        if best["step"] != now["step"]:
            line += f", the best is {best['score']:.2f} at step {best['step']}"
        tqdm.write(line, file=sys.stderr)
        if is_over:
            tqdm.write(f"{self.label}: ends after {self._counted()} without a gain", sys.stderr)

    def _counted(self) -> str:
        count = self.settings.patience
        return f"{count} evaluation{'s' if count != 1 else ''}"
