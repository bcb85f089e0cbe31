# SPDX-License-Identifier: Apache-2.0
"""The second distillation step over the same windows of questions, plain and as the build does it.

The plain loop follows the script that the authors of DistilBERT published for SQuAD with
distillation: every window is padded to the longest length, and the teacher runs in every step.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from transformers import (
    DistilBertForQuestionAnswering,
    get_linear_schedule_with_warmup,
)

from benchmarks.loops.timing import Ends, begin, hardware, in_batches, steps_between
from benchmarks.loops.work import TaskWork
from benchmarks.measure.training_schema import Turn
from pipeline.config import Finetune
from pipeline.models.heads import SPAN_HEAD
from pipeline.models.layers import choose_layers
from pipeline.models.student import build_student, student_state
from pipeline.models.teacher import load_for_task, load_tokenizer
from pipeline.tasks import finetune
from pipeline.tasks.outputs import TeacherOutputs, inputs, record_outputs
from pipeline.tasks.question_answering import TASK
from pipeline.training import precision as precisions
from pipeline.training.batches import Schedule

CPU = torch.device("cpu")
FIELDS = ("input_ids", "token_type_ids", "attention_mask", "start", "end")


class TaskLoop:
    """The models of a process, and both loops over them; every step counts.

    Args:
        work: see the class.
    """

    def __init__(self, work: TaskWork) -> None:
        begin(work.threads)
        self.work, self.pad_id = work, load_tokenizer(work.teacher.folder).pad_token_id
        torch.manual_seed(work.seed)  # of a head that the teacher lacks
        self.teacher = load_for_task(work.teacher, SPAN_HEAD, labels=2).requires_grad_(False)
        config = self.teacher.config
        layers = choose_layers(config.num_hidden_layers, "half")
        state = student_state(self.teacher.state_dict(), layers)
        kind = DistilBertForQuestionAnswering
        self.student = build_student(kind, config, state, layers, work.seed)
        how = replace(Finetune().optimization, epochs=1.0, batch_size=work.batch)
        self.settings = Finetune(optimization=how)
        self.chosen: dict[str, str] = {}  # what is timed once, of recording and of training

    def plain(self) -> Turn:
        """One pass as people write it."""
        how, student = self.settings.optimization, copy.deepcopy(self.student).train()
        optimizer = torch.optim.AdamW(
            student.parameters(),
            lr=how.learning_rate,
            betas=how.betas,
            eps=how.epsilon,
            weight_decay=how.weight_decay,
        )
        loader = DataLoader(
            self.padded(),
            self.work.batch,
            shuffle=True,
            generator=torch.Generator().manual_seed(self.work.seed),
        )
        rate = get_linear_schedule_with_warmup(optimizer, 1, len(loader))
        lengths: list[list[int]] = []
        ends = [time.perf_counter()]
        for rows in loader:
            batch = dict(zip(FIELDS, rows, strict=True))
            loss = plain_task_loss(student, self.teacher, batch, self.settings)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(student.parameters(), how.max_grad_norm)
            optimizer.step()
            rate.step()
            float(loss.detach())  # as a log would read it
            ends.append(time.perf_counter())
            lengths.append(batch["attention_mask"].sum(1).tolist())
        return {
            "precision": "fp32",
            "recording": None,
            "steps": steps_between(ends, lengths),
        }

    def ours(self, precision: str | None = None) -> Turn:
        """One pass as the build does it, after the teacher's outputs were recorded.

        Args:
            precision: to train and to record in; what the build itself chooses for None.
        """
        features, how = self.work.features, self.settings.optimization
        recorded_in = precision or self._recording_precision()
        with tempfile.TemporaryDirectory() as outputs, tempfile.TemporaryDirectory() as scratch:
            began = time.perf_counter()
            record_outputs(
                TASK,
                self.teacher,
                features,
                self.pad_id,
                (),
                Path(outputs),
                how.batch_size,
                hardware(recorded_in),
            )
            recorded, ends = time.perf_counter() - began, Ends()
            result = finetune.finetune_student(
                TASK,
                copy.deepcopy(self.student),
                features,
                self.pad_id,
                outputs=TeacherOutputs(Path(outputs)),
                config=self.settings,
                hardware=hardware(precision or self.chosen.get("training", "auto")),
                seed=self.work.seed,
                scratch=Path(scratch),
                callbacks=(ends,),
            )
        if precision is None:
            self.chosen["training"] = result.precision
        lengths = [each.length for each in features]
        order = Schedule(features, lengths, how.batch_size, how.epochs, self.work.seed).order
        batches = in_batches([lengths[place] for place in order], how.batch_size)
        return {
            "precision": result.precision,
            "recording": {"precision": recorded_in, "seconds": recorded},
            "steps": steps_between([ends.began, *ends.seconds], batches),
        }

    def padded(self) -> TensorDataset:
        """Every window at the full length: `FIELDS`, int64 [N, length] and for the last two [N]."""
        rows = self._batch(range(len(self.work.features)))
        size = self.work.length
        wide = {"input_ids": self.pad_id, "token_type_ids": 0, "attention_mask": 0}
        for name, value in wide.items():
            rows[name] = F.pad(rows[name], (0, size - rows[name].shape[1]), value=value)
        return TensorDataset(*(rows[name] for name in FIELDS))

    def _batch(self, numbers: Any) -> dict[str, Tensor]:
        """Some windows with their answers, padded to the longest of them."""
        features = [self.work.features[number] for number in numbers]
        return inputs(features, self.pad_id) | TASK.gold(features)

    @torch.no_grad()
    def _recording_precision(self) -> str:
        """What a recording of many batches chooses; those here are too few to time both."""
        if "recording" not in self.chosen:
            order = sorted(range(len(self.work.features)), key=self._length)
            middle = max(0, (len(order) - self.work.batch) // 2)
            batch = inputs(
                [self.work.features[n] for n in order[middle : middle + self.work.batch]],
                self.pad_id,
            )

            def run(kind: str) -> None:
                with precisions.autocast(kind, CPU):
                    self.teacher(**batch)

            self.chosen["recording"] = precisions.of_passes(
                run, precisions.WORTH_TIMING, hardware("auto"), CPU
            )
        return self.chosen["recording"]

    def _length(self, number: int) -> int:
        return int(self.work.features[number].length)


def plain_task_loss(
    student: Any, teacher: Any, batch: Mapping[str, Tensor], how: Finetune
) -> Tensor:
    """The loss of the second step (arXiv 1910.01108, section 4.1), straight from its formulas.

    Args:
        student: a `DistilBertForQuestionAnswering`.
        teacher: a `BertForQuestionAnswering`.
        batch: `FIELDS`, int64 [B, S] and for the answer's first and last position [B].
        how: the weights of the losses, and the temperature.
    """
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        taught = teacher(**inputs, token_type_ids=batch["token_type_ids"])
    learned = student(**inputs)
    padding = batch["attention_mask"] == 0  # [B, S]
    gold: list[Tensor] = []
    soft: list[Tensor] = []
    for name in ("start", "end"):
        own = learned[f"{name}_logits"].masked_fill(padding, -1e4)  # [B, S]
        goal = taught[f"{name}_logits"].masked_fill(padding, -1e4)
        gold.append(F.cross_entropy(own, batch[name]))
        log_q = F.log_softmax(own / how.temperature, dim=-1)
        p = F.softmax(goal / how.temperature, dim=-1)
        soft.append(F.kl_div(log_q, p, reduction="batchmean") * how.temperature**2)
    return how.alpha_gold * torch.stack(gold).mean() + how.alpha_ce * torch.stack(soft).mean()
