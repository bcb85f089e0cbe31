# SPDX-License-Identifier: Apache-2.0
"""The losses of DistilBERT (arXiv 1910.01108, sections 2 and 4.1): plain functions of tensors.

All of them return a scalar float32 tensor, averaged over what they look at; half-precision inputs
are computed in float32, where exponentials and small differences survive.

A training minimizes the weighted sum of a table of them, each a :class:`Term`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.training import shared

IGNORED = -100  # the label that transformers and torch leave out of a cross-entropy

Step = TypeVar("Step")


@dataclass(frozen=True)
class Term(Generic[Step]):
    """A row of a table of losses.

    Attributes:
        name: of the loss in logs and in the report.
        weight: the setting that holds its weight.
        words: what the loss measures, for the model card.
        compute: gives the loss, a scalar, from what a training step has computed.
        softened: whether the setting `temperature` is a part of it.
    """

    name: str
    weight: str
    words: str
    compute: Callable[[Step], Tensor]
    softened: bool = False


def weighted(terms: Iterable[Term[Step]], step: Step, settings: Any) -> dict[str, Tensor]:
    """Each loss times its weight, by name, in the table's order; weight 0 computes nothing.

    Args:
        terms: the table.
        step: what the losses are computed from.
        settings: has an attribute for the weight of each term.
    """
    weights = {term: getattr(settings, term.weight) for term in terms}
    return {term.name: weight * term.compute(step) for term, weight in weights.items() if weight}


def described(terms: Iterable[Term[Any]], settings: Mapping[str, Any]) -> str:
    """`5 for the divergence from ..., 2 for ...`: each loss that has a weight, in words."""
    weights = {term: settings[term.weight] for term in terms}
    return ", ".join(f"{weight:g} for {term.words}" for term, weight in weights.items() if weight)


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """L_ce: divergence of the student's softened distribution from the teacher's.

    KL(teacher || student) of softmax(logits / T), times T squared so that its gradients keep their
    size whatever the temperature (Hinton et al. 2015, section 2).  It differs from the
    cross-entropy over soft targets by the teacher's entropy, which has no gradient.

    Args:
        student: logits [N, classes].
        teacher: logits [N, classes].
        temperature: T > 0.
    """
    if not len(student):
        return student.sum() * 0.0  # keeps the graph whole where a batch has no such token
    if student.is_cuda:  # where the copies in float32 would take a third of a step
        value: Tensor = ChunkedDivergence.apply(student, teacher, temperature)  # type: ignore[no-untyped-call]
        return value
    log_q = F.log_softmax(student.float() / temperature, dim=-1)
    log_p = F.log_softmax(teacher.float() / temperature, dim=-1)
    return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True) * temperature**2


class ChunkedDivergence(torch.autograd.Function):
    """The divergence of :func:`distillation_loss`, a few rows at a time.

    Softmax and logarithms are computed in float32 without float32 copies of all logits: what is
    kept for the backward pass is the gradient, in the logits' own precision.
    """

    ROWS = 512

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """The mean over the rows of logits [N, classes], times T squared."""
        total = torch.zeros((), device=student.device)
        gradient = torch.empty_like(student)
        for begin in range(0, len(student), ChunkedDivergence.ROWS):
            rows = slice(begin, begin + ChunkedDivergence.ROWS)
            log_q = F.log_softmax(student[rows].float() / temperature, dim=-1)
            log_p = F.log_softmax(teacher[rows].float() / temperature, dim=-1)
            total += F.kl_div(log_q, log_p, reduction="sum", log_target=True)
            # T^2 / N times the derivative of KL, which is (q - p) / T
            gradient[rows] = (log_q.exp() - log_p.exp()) * (temperature / len(student))
        ctx.save_for_backward(gradient)
        return total * (temperature**2 / len(student))

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of the student's logits; the teacher gets none."""
        (gradient,) = ctx.saved_tensors
        return gradient * outer[0], None, None


def masked_lm_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """L_mlm: cross-entropy on the masked tokens.

    Args:
        logits: [N, vocabulary].
        labels: int64 [N], `IGNORED` where the token was not masked.
    """
    if not (labels != IGNORED).any():
        return logits.sum() * 0.0
    return F.cross_entropy(logits.float(), labels, ignore_index=IGNORED)


def cosine_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """L_cos: 1 - cosine between hidden states, both [N, dim]."""
    return (1.0 - F.cosine_similarity(student.float(), teacher.float(), dim=-1)).mean()


def hidden_state_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of hidden states [N, dim], relative to the teacher's variance.

    The variance is over the N tokens, those of other devices included, averaged over the
    dimensions: 0 is a perfect match, and 1 is what a student gets that answers with the mean of all
    tokens.  A teacher may say nearly the same for every token (sentence encoders do: 84 % of the
    last layer's square is its mean); relative to its plain square a student would look good there
    that tells no token from another.  (Not in DistilBERT; patient distillation and TinyBERT match
    intermediate layers in this spirit.)
    """
    teacher = teacher.float()
    return F.mse_loss(student.float(), teacher) / _variance(teacher).clamp_min(1e-6)


def _variance(states: Tensor) -> Tensor:
    """The variance of states [N, dim] over the tokens of all devices, averaged over dimensions."""
    if not shared.is_shared():
        return (states - states.mean(0)).pow(2).mean()
    count = shared.total(torch.tensor(float(len(states)), device=states.device))
    mean = shared.total(states.sum(0)) / count  # [dim]
    return shared.total((states - mean).pow(2).sum()) / (count * states.shape[1])


def hidden_states_loss(students: Sequence[Tensor], teachers: Sequence[Tensor]) -> Tensor:
    """The mean of :func:`hidden_state_loss` over the kept layers, states [N, dim] of each."""
    pairs = zip(students, teachers, strict=True)
    return torch.stack([hidden_state_loss(student, teacher) for student, teacher in pairs]).mean()


def span_loss(start: Tensor, end: Tensor, start_label: Tensor, end_label: Tensor) -> Tensor:
    """L_squad: mean of the two cross-entropies over the answer's first and last position.

    Args:
        start: logits [B, S], padding already masked with a large negative number.
        end: likewise.
        start_label: int64 [B].
        end_label: int64 [B].
    """
    return (
        F.cross_entropy(start.float(), start_label) + F.cross_entropy(end.float(), end_label)
    ) / 2


def span_distillation_loss(
    student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor], temperature: float
) -> Tensor:
    """L_ce of the second distillation step: over the positions of a window, start and end alike.

    Args:
        student: (start, end) logits, each [B, S], padding masked.
        teacher: likewise.
        temperature: T > 0.
    """
    return (
        distillation_loss(student[0], teacher[0], temperature)
        + distillation_loss(student[1], teacher[1], temperature)
    ) / 2


def mask_padding(logits: Tensor, attention_mask: Tensor) -> Tensor:
    """Logits [B, S] with padding (0 in attention_mask [B, S]) out of the running.

    A finite number, since -inf times a zero probability is NaN in the divergence.
    """
    return logits.float().masked_fill(attention_mask == 0, -1e4)
