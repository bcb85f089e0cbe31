# SPDX-License-Identifier: Apache-2.0
"""General distillation over the same samples in a plain loop, and in the build's."""

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
from transformers import (
    DataCollatorForLanguageModeling,
    DistilBertForMaskedLM,
    get_linear_schedule_with_warmup,
)

from benchmarks.loops.timing import Ends, begin, hardware, in_batches, steps_between
from benchmarks.loops.work import Work
from benchmarks.measure.training_schema import Turn
from pipeline.config import Distil
from pipeline.models.layers import choose_layers
from pipeline.models.student import build_student, student_state
from pipeline.models.teacher import load_mlm, load_tokenizer
from pipeline.training import distil
from pipeline.training.batches import Schedule


class Loop:
    """The models of a process, and both loops over them; their first steps are not counted.

    Args:
        work: see the class.
    """

    def __init__(self, work: Work) -> None:
        begin(work.threads)
        self.work, self.tokenizer = work, load_tokenizer(work.teacher)
        torch.manual_seed(work.seed)  # of a head that the teacher lacks
        self.teacher = load_mlm(work.teacher, head="cls.").requires_grad_(False)
        config = self.teacher.config
        self.layers = choose_layers(config.num_hidden_layers, "half")
        state = student_state(self.teacher.state_dict(), self.layers)
        self.student = build_student(DistilBertForMaskedLM, config, state, self.layers, work.seed)
        how = replace(Distil().optimization, epochs=1.0, batch_size=work.batch, device_batch=None)
        self.settings = Distil(optimization=how)
        self.precision = "auto"

    def plain(self) -> Turn:
        """One pass as people write it."""
        how, student = self.settings.optimization, copy.deepcopy(self.student).train()
        optimizer = torch.optim.AdamW(
            student.parameters(), lr=how.learning_rate, betas=how.betas, eps=how.epsilon
        )
        batches = in_batches([len(each) for each in self.work.samples], self.work.batch)
        rate = get_linear_schedule_with_warmup(optimizer, 1, len(batches))
        collate = DataCollatorForLanguageModeling(self.tokenizer, mlm_probability=0.15)
        loader: Any = torch.utils.data.DataLoader(
            [{"input_ids": torch.as_tensor(each)} for each in self.work.samples],  # type: ignore[arg-type]
            batch_size=self.work.batch,
            collate_fn=collate,
        )
        ends = []
        for batch in loader:
            loss = plain_loss(student, self.teacher, batch, self.settings)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(student.parameters(), how.max_grad_norm)
            optimizer.step()
            rate.step()
            float(loss.detach())  # as a log would read it
            ends.append(time.perf_counter())
        steps = steps_between(ends, batches[1:])
        return {"precision": "fp32", "recording": None, "steps": steps}

    def ours(self, precision: str | None = None) -> Turn:
        """One pass as the build does it.

        Args:
            precision: to train in; what the loop itself chooses for None.
        """
        samples, how = self.work.samples, self.settings.optimization
        lengths = [len(each) for each in samples]
        schedule = Schedule(samples, lengths, how.batch_size, how.epochs, self.work.seed)
        masking = distil.Masking(
            self.tokenizer,
            distil.count_pieces(samples, len(self.tokenizer)),
            share=self.settings.mask_share,
            smoothing=self.settings.mask_smoothing,
            seed=self.work.seed,
        )
        ends = Ends()
        with tempfile.TemporaryDirectory() as scratch:
            result = distil.distil(
                copy.deepcopy(self.student).train(),
                self.teacher,
                self.layers,
                schedule,
                masking,
                config=self.settings,
                hardware=hardware(precision or self.precision),
                seed=self.work.seed,
                scratch=Path(scratch),
                callbacks=(ends,),
            )
        if precision is None:
            self.precision = result.precision  # timed once
        batches = in_batches([lengths[place] for place in schedule.order], how.batch_size)
        steps = steps_between(ends.seconds, batches[1:])
        return {"precision": result.precision, "recording": None, "steps": steps}


def plain_loss(student: Any, teacher: Any, batch: Mapping[str, Tensor], how: Distil) -> Tensor:
    """The triple loss of DistilBERT (arXiv 1910.01108, section 2), straight from its formulas.

    Args:
        student: a `DistilBertForMaskedLM`.
        teacher: a `BertForMaskedLM`.
        batch: `input_ids`, `attention_mask` and `labels`, int64 [B, S]; a label of -100 is none.
        how: the weights of the losses, and the temperature.
    """
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        taught = teacher(**inputs, output_hidden_states=True)
    learned = student(**inputs, output_hidden_states=True)
    seen = batch["attention_mask"].bool()  # [B, S]
    soft = [out.logits[seen] / how.temperature for out in (learned, taught)]  # [tokens, words]
    ce = F.kl_div(soft[0].log_softmax(-1), soft[1].softmax(-1), reduction="batchmean")
    mlm = F.cross_entropy(learned.logits.flatten(0, 1), batch["labels"].flatten())
    states = [out.hidden_states[-1][seen] for out in (learned, taught)]  # [tokens, dim]
    cos = 1 - F.cosine_similarity(*states).mean()
    return how.alpha_ce * how.temperature**2 * ce + how.alpha_mlm * mlm + how.alpha_cos * cos
