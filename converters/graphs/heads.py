# SPDX-License-Identifier: Apache-2.0
"""The heads of export graphs: from the encoder's hidden states to a file's outputs.

A head is a module that is called with the last hidden states and the bias of the padding (1, S) or
(B, S), and returns the outputs of its interface in their order. The same heads serve graphs of one
row, whose states are (S, D), and graphs of many rows, whose states are (B*S, D).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from converters.graphs.architecture import Parts
from converters.interface import CLASSES, SPANS

# Between the two layers of a classification head: DistilBERT's, and the tanh of BERT's pooler.
_BETWEEN: dict[str, Callable[[Tensor], Tensor]] = {"relu": functional.relu, "tanh": torch.tanh}


class SpanHead(nn.Module):
    """Scores every token of one row as the start and as the end of the answer.

    Both have a linear layer of their own: a slice of a joint result would fix the length.
    """

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.start, self.end = (_one_output(parts.head["out"], row) for row in (0, 1))

    def forward(self, hidden: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        """`hidden` (S, D) and `bias` (1, S) to start and end logits, float (1, S)."""
        start_logits = self.start(hidden).reshape(1, -1) + bias  # (S, 1) -> (1, S)
        end_logits = self.end(hidden).reshape(1, -1) + bias  # (S, 1) -> (1, S)
        return start_logits, end_logits


class BatchSpanHead(nn.Module):
    """Scores every token of many rows; one linear layer gives both scores."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.out = parts.head["out"]

    def forward(self, hidden: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        """`hidden` (B*S, D) and `bias` (B, S) to start and end logits, float (B, S)."""
        batch, length = bias.shape
        logits = self.out(hidden).reshape(batch, length, 2)  # (B*S, 2) -> (B, S, 2)
        start_logits, end_logits = (logits + bias[:, :, None]).unbind(-1)
        return start_logits, end_logits


class ClassHead(nn.Module):
    """Scores the classes of one row from the state of its first token, [CLS]."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.dense, self.out = parts.head["dense"], parts.head["out"]
        self.between = _BETWEEN[parts.between]

    def forward(self, hidden: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
        """`hidden` (S, D) and `bias` (1, S) to logits, float (1, C)."""
        return (self.out(self.between(self.dense(self.first(hidden, bias)))),)

    def first(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """The state of the first token of each row, float (1, D)."""
        return hidden[:1]


class BatchClassHead(ClassHead):
    """Scores the classes of many rows: logits, float (B, C)."""

    def first(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """See `ClassHead.first`: (B*S, D) -> (B, S, D) -> (B, D)."""
        return hidden.reshape(*bias.shape, -1)[:, 0]


HEADS: dict[str, Callable[[Parts], nn.Module]] = {
    SPANS.signature: SpanHead,
    CLASSES.signature: ClassHead,
}
BATCH_HEADS: dict[str, Callable[[Parts], nn.Module]] = {
    SPANS.signature: BatchSpanHead,
    CLASSES.signature: BatchClassHead,
}


def _one_output(head: nn.Module, row: int) -> nn.Linear:
    """Row `row` of a linear layer as a linear layer of one output."""
    assert isinstance(head, nn.Linear)
    single = nn.Linear(head.in_features, 1)
    single.weight = nn.Parameter(head.weight[row : row + 1].clone(), requires_grad=False)
    single.bias = nn.Parameter(head.bias[row : row + 1].clone(), requires_grad=False)
    return single
