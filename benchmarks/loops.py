# SPDX-License-Identifier: Apache-2.0
"""Two loops of general distillation over the same samples: a plain one, and the build's."""

from __future__ import annotations

import copy
import itertools
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    DataCollatorForLanguageModeling,
    DistilBertForMaskedLM,
    TrainerCallback,
    get_linear_schedule_with_warmup,
    logging,
)

from benchmarks.measure.training_schema import Step
from pipeline.config import Distil, Hardware
from pipeline.models.layers import choose_layers
from pipeline.models.student import build_student, student_state
from pipeline.models.teacher import load_mlm, load_tokenizer
from pipeline.training import distil
from pipeline.training.batches import Schedule


@dataclass(frozen=True)
class Work:
    """What every loop trains on; goes to its process.

    Attributes:
        teacher: folder of a BERT; a head that it lacks is random.
        samples: word-piece ids, special tokens included.
        batch: samples of a step.
        threads: of PyTorch.
        seed: of the student and of dropout.
    """

    teacher: Path
    samples: Sequence[Any]
    batch: int
    threads: int
    seed: int


class Loop:
    """The models of a process, and both loops over them.

    Args:
        work: see the class.
    """

    def __init__(self, work: Work) -> None:
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        torch.set_num_threads(work.threads)
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

    def plain(self) -> tuple[str, list[Step]]:
        """One pass as people write it; gives the precision and every step but the first."""
        how, student = self.settings.optimization, copy.deepcopy(self.student).train()
        optimizer = torch.optim.AdamW(
            student.parameters(), lr=how.learning_rate, betas=how.betas, eps=how.epsilon
        )
        batches = list(self._in_order())
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
        return "fp32", _steps(ends, batches)

    def ours(self, precision: str | None = None) -> tuple[str, list[Step]]:
        """One pass as the build does it; gives the precision and every step but the first.

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
        chosen: Any = precision or self.precision
        hardware = Hardware(device="cpu", precision=chosen, report_to=("none",), progress=False)
        ends = _Ends()
        with tempfile.TemporaryDirectory() as scratch:
            result = distil.distil(
                copy.deepcopy(self.student).train(),
                self.teacher,
                self.layers,
                schedule,
                masking,
                config=self.settings,
                hardware=hardware,
                seed=self.work.seed,
                scratch=Path(scratch),
                callbacks=(ends,),
            )
        if precision is None:
            self.precision = result.precision  # timed once
        order = [lengths[place] for place in schedule.order]
        size = how.batch_size
        batches = [sum(order[begin : begin + size]) for begin in range(0, len(order), size)]
        return result.precision, _steps(ends.seconds, batches)

    def _in_order(self) -> Iterator[int]:
        """The tokens of each batch as the samples come."""
        for begin in range(0, len(self.work.samples), self.work.batch):
            yield sum(map(len, self.work.samples[begin : begin + self.work.batch]))


class _Ends(TrainerCallback):  # type: ignore[misc]
    """Remembers when each step ended."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.seconds.append(time.perf_counter())


def _steps(ends: Sequence[float], tokens: Sequence[int]) -> list[Step]:
    """The steps after the first: what they took, and their tokens."""
    return [
        {"tokens": count, "seconds": end - begin}
        for (begin, end), count in zip(itertools.pairwise(ends), tokens[1:], strict=True)
    ]


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
