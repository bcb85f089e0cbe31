# SPDX-License-Identifier: Apache-2.0
"""General distillation: the student learns the teacher's language model over plain text.

The triple loss of DistilBERT (arXiv 1910.01108, section 2): soft targets, masked-language modelling
and the cosine between hidden states, with dynamic masking.  A teacher without a head for masked
language modelling gets one first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import BertForMaskedLM, DistilBertForMaskedLM, TrainerCallback

from pipeline.config import Distil, Hardware, MlmHead
from pipeline.training import losses, sharding
from pipeline.training.batches import Batch, Schedule, attention_mask, pad, to_device
from pipeline.training.loop import Fit, fit, pick_device
from pipeline.training.losses import Term
from pipeline.training.stream import Stream

KEPT, RANDOM = 0.1, 0.1  # of the chosen tokens; the other 80 % become [MASK] (Devlin et al. 2019)


class Masking:
    """Dynamic masking: chooses tokens anew each time a sample is seen.

    The choice depends on (seed, place in the training) alone, not on a generator's state, so that a
    resumed run masks as an undisturbed one does.

    Args:
        tokenizer: gives the special tokens.
        counts: int64 [vocabulary], how often each piece occurs in the corpus; rare pieces are
            chosen more often (XLM's and DistilBERT's smoothing).
        share: of the tokens of a sample, at least one; 0 leaves all as they are.
        smoothing: exponent; 0 chooses evenly.
        seed: of the choice.
    """

    def __init__(
        self, tokenizer: Any, counts: np.ndarray, *, share: float, smoothing: float, seed: int
    ) -> None:
        self.mask_id, self.pad_id = tokenizer.mask_token_id, tokenizer.pad_token_id
        self.vocabulary, self.counts = len(counts), counts
        self.share, self.seed = share, seed
        self.weights = np.maximum(counts, 1.0) ** -smoothing
        self.weights[list(tokenizer.all_special_ids)] = 0.0

    def __call__(self, items: Sequence[tuple[int, np.ndarray]]) -> Batch:
        """Makes a batch of (place, ids) items.

        Returns:
            `input_ids` int64 [B, S] with masks, `labels` int64 [B, S] with `losses.IGNORED` where a
            token was not chosen, `attention_mask` int64 [B, S].
        """
        rows, labels = zip(*(self._mask(place, ids) for place, ids in items), strict=True)
        return {
            "input_ids": pad(rows, self.pad_id),
            "labels": pad(labels, losses.IGNORED),
            "attention_mask": attention_mask(rows),
        }

    def log_frequencies(self) -> np.ndarray:
        """Logarithm of how often each piece is chosen, float32 [vocabulary]; 0.1 for one unseen."""
        chosen = np.maximum(self.counts, 0.1) * np.maximum(self.weights, 1e-3)
        logarithms: np.ndarray = np.log(chosen / chosen.sum()).astype(np.float32)
        return logarithms

    def _mask(self, place: int, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((self.seed, place))
        weights = self.weights[ids]
        count = 0
        if self.share:
            count = min(int(np.count_nonzero(weights)), max(1, round(self.share * len(ids))))
        masked, labels = ids.copy(), np.full_like(ids, losses.IGNORED)
        if count:
            chosen = rng.choice(len(ids), size=count, replace=False, p=weights / weights.sum())
            labels[chosen] = ids[chosen]
            fate = rng.random(count)
            replaced = chosen[fate >= KEPT]
            masked[replaced] = self.mask_id
            randomized = chosen[(fate >= KEPT) & (fate < KEPT + RANDOM)]
            masked[randomized] = rng.integers(0, self.vocabulary, size=len(randomized))
        return masked, labels


def count_pieces(samples: Iterable[np.ndarray], vocabulary: int) -> np.ndarray:
    """How often each word piece occurs: int64 [vocabulary]."""
    counts = np.zeros(vocabulary, dtype=np.int64)
    for sample in samples:
        counts += np.bincount(sample, minlength=vocabulary)
    return counts


def masked_positions(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns of the chosen tokens of labels [B, S]."""
    rows, columns = torch.where(labels != losses.IGNORED)
    return rows, columns


def masked_count(batch: Batch) -> int:
    """How many tokens of a batch were chosen."""
    return int((batch["labels"] != losses.IGNORED).sum())


@torch.no_grad()
def masked_accuracy(
    model: BertForMaskedLM, masking: Masking, samples: Sequence[np.ndarray]
) -> float:
    """Share of the masked tokens that the model names right, in 0..1."""
    right = total = 0
    model.eval()
    for begin in range(0, len(samples), 32):
        batch = masking([(i, samples[i]) for i in range(begin, min(begin + 32, len(samples)))])
        batch = to_device(batch, model)
        hidden = model.bert(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        ).last_hidden_state  # [B, S, dim]
        rows, columns = masked_positions(batch["labels"])
        predicted = model.cls(hidden[rows, columns]).argmax(-1)  # [chosen]
        right += int((predicted == batch["labels"][rows, columns]).sum())
        total += len(rows)
    return right / max(total, 1)


def fit_mlm_head(
    teacher: BertForMaskedLM,
    masking: Masking,
    samples: Sequence[np.ndarray],
    held_out: Sequence[np.ndarray],
    *,
    config: MlmHead,
    hardware: Hardware,
    seed: int,
    scratch: Path,
    new: bool = True,
) -> dict[str, Any]:
    """Fits the head to a teacher's encoder; encoder and embeddings stay as they are.

    Only the head's transform and bias are trained: its output matrix is the embedding table.  Those
    of a new head start from what needs no learning: the transform passes hidden states through, and
    the bias is the logarithm of how often each piece is masked.

    Args:
        teacher: changed in place.
        masking: for training and measurement alike.
        samples: int32 ids, to train on.
        held_out: to measure on, not trained on.
        config: how the head is fitted.
        hardware: see :func:`pipeline.training.loop.fit`, like `seed` and `scratch`.
        seed: of dropout and of the order.
        scratch: for checkpoints.
        new: whether the teacher came without the head; otherwise it was fitted to the encoder
            before that was fine-tuned, and starts as it is.

    Returns:
        Facts, among them the masked accuracy before and after.
    """
    before = masked_accuracy(teacher, masking, held_out)
    teacher.requires_grad_(False)
    head = teacher.cls.predictions
    trained = [*head.transform.parameters(), head.bias]
    if new:
        with torch.no_grad():
            torch.nn.init.eye_(head.transform.dense.weight)
            head.bias.copy_(torch.from_numpy(masking.log_frequencies()))
    for parameter in trained:
        parameter.requires_grad_(True)

    def loss(model: Any, batch: Batch) -> dict[str, Tensor]:
        with torch.no_grad():
            hidden = model.bert(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
            ).last_hidden_state  # [B, S, dim]
        rows, columns = masked_positions(batch["labels"])
        logits = model.cls(hidden[rows, columns])  # [chosen, vocabulary]
        return {"mlm": losses.masked_lm_loss(logits, batch["labels"][rows, columns])}

    optimization = config.optimization
    schedule = Schedule(
        samples, [len(s) for s in samples], optimization.batch_size, optimization.epochs, seed
    )
    result = fit(
        teacher,
        schedule,
        masking,
        loss,
        settings=optimization,
        hardware=hardware,
        seed=seed,
        scratch=scratch,
        label="MLM head",
        counts=lambda batch: {"mlm": masked_count(batch)},
    )
    return {
        **result.facts(),
        "masked_accuracy_before": round(before, 4),
        "masked_accuracy_after": round(masked_accuracy(teacher, masking, held_out), 4),
    }


def distil(
    student: DistilBertForMaskedLM,
    teacher: BertForMaskedLM,
    layers: Sequence[int],
    examples: Schedule | Stream,
    masking: Masking,
    *,
    config: Distil,
    hardware: Hardware,
    seed: int,
    scratch: Path,
    callbacks: Sequence[TrainerCallback] = (),
) -> Fit:
    """Trains the student in place on the triple loss.

    Args:
        student: its heads and encoder.
        teacher: with a fitted MLM head; left in shards, if it is to be sharded.
        layers: the teacher layer that each student layer started from.
        examples: of (place, ids).
        masking: makes the batches.
        config: weights of the losses, and how the student is trained.
        hardware: see :func:`pipeline.training.loop.fit`, like `seed` and `scratch`.
        seed: of dropout.
        scratch: for checkpoints.
        callbacks: further ones of the Trainer.
    """
    teacher.eval().requires_grad_(False)
    if not config.train_embeddings:
        student.distilbert.embeddings.requires_grad_(False)

    def loss(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        return triple_loss(model, teacher, layers, batch, config)

    def counts(batch: Batch) -> dict[str, int]:
        tokens, masked = int(batch["attention_mask"].sum()), masked_count(batch)
        soft = tokens if config.ce_on == "all" else masked
        return {"ce": soft, "mlm": masked, "cos": tokens, "hidden": tokens}

    device = pick_device(hardware.device)
    if sharding.is_wanted(hardware):
        sharding.shard_frozen(teacher, device)
    else:
        teacher.to(device)
    result = fit(
        student,
        examples,
        masking,
        loss,
        settings=config.optimization,
        hardware=hardware,
        seed=seed,
        scratch=scratch,
        label="general distillation",
        counts=counts,
        callbacks=callbacks,
    )
    student.requires_grad_(True)
    return result


class TripleStep:
    """What the triple loss is computed from, for one batch of :class:`Masking`.

    Args:
        student: a `DistilBertForMaskedLM` on the batch's device.
        teacher: a `BertForMaskedLM` on the batch's device; gets no gradient.
        layers: the teacher layer of each student layer.
        batch: the batch.
        config: the temperature, and the tokens that L_ce looks at.
    """

    def __init__(
        self, student: Any, teacher: Any, layers: Sequence[int], batch: Batch, config: Distil
    ) -> None:
        inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
        self.student, self.teacher, self.layers = student, teacher, layers
        with torch.no_grad():
            self.taught = teacher.bert(**inputs, output_hidden_states=True)
        self.learned = student.distilbert(**inputs, output_hidden_states=True)
        self.temperature, self.labels = config.temperature, batch["labels"]
        self.tokens = batch["attention_mask"].bool()  # [B, S]
        every = config.alpha_ce and config.ce_on == "all"
        self.predicted = self.tokens if every else self.labels != losses.IGNORED  # [B, S]

    @cached_property
    def logits(self) -> Tensor:
        """The student's over the vocabulary: [predicted tokens, vocabulary]."""
        return mlm_logits(self.student, self.learned.last_hidden_state[self.predicted])

    def divergence(self) -> Tensor:
        """L_ce on the predicted tokens."""
        student = self.logits
        with torch.no_grad():
            teacher = self.teacher.cls(self.taught.last_hidden_state[self.predicted])
        return losses.distillation_loss(student, teacher, self.temperature)

    def prediction(self) -> Tensor:
        """L_mlm on the masked tokens."""
        return losses.masked_lm_loss(self.logits, self.labels[self.predicted])

    def cosine(self) -> Tensor:
        """L_cos on all tokens but padding."""
        return losses.cosine_loss(
            self.learned.last_hidden_state[self.tokens], self.taught.last_hidden_state[self.tokens]
        )

    def hidden(self) -> Tensor:
        """The distance of the kept layers' hidden states, on all tokens but padding."""
        return losses.hidden_states_loss(
            [states[self.tokens] for states in self.learned.hidden_states[1:]],
            [self.taught.hidden_states[layer + 1][self.tokens] for layer in self.layers],
        )


TRIPLE_LOSS = (
    Term(
        "ce",
        "alpha_ce",
        "the divergence from the teacher's outputs",
        TripleStep.divergence,
        softened=True,
    ),
    Term("mlm", "alpha_mlm", "masked-language modelling", TripleStep.prediction),
    Term("cos", "alpha_cos", "the cosine between the last hidden states", TripleStep.cosine),
    Term(
        "hidden",
        "alpha_hidden",
        "the distance from the teacher's hidden states, layer by layer",
        TripleStep.hidden,
    ),
)


def triple_loss(
    student: Any, teacher: Any, layers: Sequence[int], batch: Batch, config: Distil
) -> dict[str, Tensor]:
    """The weighted parts of the triple loss for one batch; see :class:`TripleStep`."""
    step = TripleStep(student, teacher, layers, batch, config)
    return losses.weighted(TRIPLE_LOSS, step, config)


def mlm_logits(student: DistilBertForMaskedLM, hidden: Tensor) -> Tensor:
    """The student's MLM head on chosen hidden states: [N, dim] to [N, vocabulary]."""
    hidden = student.vocab_layer_norm(student.activation(student.vocab_transform(hidden)))
    logits: Tensor = student.vocab_projector(hidden)
    return logits
