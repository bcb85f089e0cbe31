# SPDX-License-Identifier: Apache-2.0
"""The model that the adapter is trained in: a frozen BERT with LoRA, and two heads that learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.models.bert.modeling_bert import BertPredictionHeadTransform

from pipeline.tasks.question_answering.features import Feature
from pipeline.tasks.reading import Outputs
from pipeline.training import losses
from pipeline.training.batches import Batch, attention_mask, pad
from pipeline.training.distil import Masking

# Every linear layer of the encoder, and none outside of it, such as the pooler's.
TARGETS = (
    r".*encoder\.layer\.\d+\."
    r"(attention\.self\.(query|key|value)|attention\.output\.dense|intermediate\.dense|output\.dense)"
)
HEAD = "qa_outputs"


class Learner(nn.Module):
    """A BERT with LoRA in every linear layer, a head for answers and one for masked words.

    Only the adapter and the heads are trained.  The head for masked words is that of BERT: a
    transform and a bias, with the table of embeddings as its output matrix.

    Args:
        base: a `BertForQuestionAnswering`; changed in place.
        rank: of the adapter of each matrix.
        scale: what the adapter adds is multiplied by this.
        log_frequencies: float32 [vocabulary], where the bias of masked words starts; None for a
            learner without that head.
    """

    def __init__(
        self, base: Any, rank: int, scale: float, log_frequencies: np.ndarray | None
    ) -> None:
        super().__init__()
        config = LoraConfig(
            task_type="QUESTION_ANS",
            r=rank,
            lora_alpha=rank * scale,
            lora_dropout=0.0,
            target_modules=TARGETS,
            modules_to_save=[HEAD],
        )
        self.adapted = get_peft_model(base, config)
        self.transform: Any = None
        if log_frequencies is not None:
            self.transform = BertPredictionHeadTransform(base.config)
            nn.init.eye_(self.transform.dense.weight)  # it begins by passing hidden states through
            self.bias = nn.Parameter(torch.from_numpy(log_frequencies.copy()))

    @property
    def model(self) -> Any:
        """The `BertForQuestionAnswering` with the adapter in it."""
        return self.adapted.base_model.model

    def hidden(self, ids: Tensor, mask: Tensor, segment_ids: Tensor) -> Tensor:
        """The last hidden states of int64 [B, S] each: float [B, S, dim]."""
        out = self.model.bert(input_ids=ids, attention_mask=mask, token_type_ids=segment_ids)
        states: Tensor = out.last_hidden_state
        return states

    def answers(self, hidden: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Start and end logits float32 [B, S] of hidden states [B, S, dim], padding masked."""
        start, end = self.model.qa_outputs(hidden).unbind(-1)  # [B, S, 2] -> 2 x [B, S]
        return losses.mask_padding(start, mask), losses.mask_padding(end, mask)

    def words(self, hidden: Tensor) -> Tensor:
        """Logits over the vocabulary of hidden states: [N, dim] to [N, vocabulary]."""
        table = self.model.bert.embeddings.word_embeddings.weight
        logits: Tensor = F.linear(self.transform(hidden), table, self.bias)
        return logits

    def word_head(self) -> dict[str, Tensor]:
        """The head for masked words under the names of BERT's; empty without one."""
        if self.transform is None:
            return {}
        tensors = {f"transform.{name}": one for name, one in self.transform.state_dict().items()}
        return {f"cls.predictions.{name}": one for name, one in tensors.items()} | {
            "cls.predictions.bias": self.bias.detach()
        }

    def bytes(self) -> int:
        """What its trained tensors take in float16."""
        return 2 * sum(one.numel() for one in self.parameters() if one.requires_grad)


@dataclass(frozen=True)
class Collate:
    """Makes a batch of (place, example) items: windows with answers, and samples of text.

    The batch holds `input_ids`, `token_type_ids`, `attention_mask` and `labels` int64 [B, S], and
    `start` and `end` int64 [B]: `losses.IGNORED` in rows that the label is not for.
    """

    masking: Masking
    pad_id: int

    def __call__(self, items: Sequence[tuple[int, Feature | np.ndarray]]) -> Batch:
        """See the class."""
        rows, segments, labels, starts, ends = [], [], [], [], []
        for place, example in items:
            if isinstance(example, Feature):
                rows.append(example.ids)
                segments.append(example.segment_ids)
                labels.append(np.full_like(example.ids, losses.IGNORED))
                starts.append(example.start)
                ends.append(example.end)
            else:
                masked = self.masking([(place, example)])
                rows.append(masked["input_ids"][0].numpy())
                segments.append(np.zeros_like(example))
                labels.append(masked["labels"][0].numpy())
                starts.append(losses.IGNORED)
                ends.append(losses.IGNORED)
        return {
            "input_ids": pad(rows, self.pad_id),
            "token_type_ids": pad(segments, 0),
            "attention_mask": attention_mask(rows),
            "labels": pad(labels, losses.IGNORED),
            "start": torch.tensor(starts),
            "end": torch.tensor(ends),
        }


def loss(learner: Learner, batch: Batch, alpha_mlm: float) -> dict[str, Tensor]:
    """The parts of the loss for a batch of :class:`Collate`: `answer`, and `mlm` times its weight.

    Each is its mean over its rows times their share of the batch, so that every example counts
    alike, however few of its kind are in its batch; without any, the part is 0.
    """
    mask, asked = batch["attention_mask"], batch["start"] != losses.IGNORED  # [B, S], [B]
    hidden = learner.hidden(batch["input_ids"], mask, batch["token_type_ids"])
    start, end = learner.answers(hidden[asked], mask[asked])  # [Q, S] each
    share = asked.float().mean()
    parts = {"answer": start.sum() * 0.0}
    if asked.any():
        gold = batch["start"][asked], batch["end"][asked]
        parts["answer"] = share * losses.span_loss(start, end, *gold)
    if learner.transform is not None:
        chosen = batch["labels"] != losses.IGNORED  # [B, S]
        logits = learner.words(hidden[chosen])  # [chosen, vocabulary]
        parts["mlm"] = (
            (1 - share) * alpha_mlm * losses.masked_lm_loss(logits, batch["labels"][chosen])
        )
    return parts


@torch.no_grad()
def run_windows(
    learner: Learner, rows: Sequence[tuple[np.ndarray, np.ndarray]], pad_id: int, size: int = 16
) -> list[Outputs]:
    """Start and end logits float32 [S] of windows, run in batches of like length.

    Args:
        learner: is put into evaluation mode.
        rows: ids and segment ids int32 [S] of each window.
        pad_id: of the tokenizer.
        size: windows in a batch.
    """
    learner.eval()
    device = next(learner.parameters()).device
    order = sorted(range(len(rows)), key=lambda number: len(rows[number][0]))
    found: list[Outputs] = [()] * len(rows)
    for begin in range(0, len(order), size):
        numbers = order[begin : begin + size]
        ids = [rows[number][0] for number in numbers]
        mask = attention_mask(ids).to(device)
        segments = pad([rows[number][1] for number in numbers], 0).to(device)
        hidden = learner.hidden(pad(ids, pad_id).to(device), mask, segments)
        pair = learner.answers(hidden, mask)  # [B, S] each
        for place, number in enumerate(numbers):
            length = len(rows[number][0])
            found[number] = tuple(one[place, :length].float().cpu().numpy() for one in pair)
    return found


@torch.no_grad()
def masked_accuracy(learner: Learner, masking: Masking, samples: Sequence[np.ndarray]) -> float:
    """Share of the masked words that the learner names right, 0 to 1."""
    learner.eval()
    device = next(learner.parameters()).device
    collate = Collate(masking, masking.pad_id)
    right = total = 0
    for begin in range(0, len(samples), 16):
        batch = collate(list(enumerate(samples[begin : begin + 16], begin)))
        batch = {name: one.to(device) for name, one in batch.items()}
        mask = batch["attention_mask"]
        hidden = learner.hidden(batch["input_ids"], mask, batch["token_type_ids"])
        chosen = batch["labels"] != losses.IGNORED
        predicted = learner.words(hidden[chosen]).argmax(-1)
        right += int((predicted == batch["labels"][chosen]).sum())
        total += len(predicted)
    return right / max(total, 1)
