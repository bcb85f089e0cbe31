# SPDX-License-Identifier: Apache-2.0
"""The forward pass of a model with a head, restated for batches of any size and length.

For runtimes whose graphs may keep both dimensions open, such as ONNX Runtime. The weights are the
Hugging Face model's own. Hidden states are of rank 2, all tokens of all rows below each other: each
linear layer is then one Gemm with its bias inside, and ONNX Runtime leaves the layer normalization
alone (at rank 3 it merges it with the addition before it into an operator that is 7 times slower).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from converters.graphs.architecture import ACTIVATIONS, take_apart
from converters.graphs.heads import BATCH_HEADS
from converters.interface import MASK_BIAS


def _gelu(hidden: Tensor) -> Tensor:
    """GELU (Hendrycks and Gimpel 2016), multiplied in the order that ONNX Runtime merges."""
    return hidden * (1.0 + torch.erf(hidden / math.sqrt(2.0))) * 0.5


def _gelu_tanh(hidden: Tensor) -> Tensor:
    """Its approximation, likewise."""
    reach = math.sqrt(2.0 / math.pi) * (hidden + 0.044715 * hidden**3)
    return hidden * 0.5 * (1.0 + torch.tanh(reach))


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = ACTIVATIONS | {
    "gelu": _gelu,
    "gelu_new": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
}


class _EncoderLayer(nn.Module):
    """One Transformer encoder layer (Vaswani et al. 2017, section 3.1) on (B*S, D) states."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    merge: nn.Linear
    attention_norm: nn.LayerNorm
    expand: nn.Linear
    contract: nn.Linear
    output_norm: nn.LayerNorm

    def __init__(self, parts: dict[str, nn.Module], heads: int, activation: str) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.heads, self.activation = heads, _ACTIVATIONS[activation]

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """Apply the layer to `hidden` (B*S, D), with `bias` (B, 1, 1, S) added to the scores."""
        (batch, _, _, length), dim = bias.shape, hidden.shape[1]

        def split(states: Tensor) -> Tensor:
            heads = states.reshape(batch, length, self.heads, dim // self.heads)
            return heads.transpose(1, 2)  # (B*S, D) -> (B, S, H, D/H) -> (B, H, S, D/H)

        query, key, value = (split(part(hidden)) for part in (self.query, self.key, self.value))
        scores = torch.matmul(query, key.transpose(2, 3)) + bias  # (B, H, S, S)
        context = torch.matmul(torch.softmax(scores, dim=-1), value)  # (B, H, S, D/H)
        context = context.transpose(1, 2).reshape(-1, dim)  # (B, H, S, D/H) -> (B*S, D)
        hidden = self.attention_norm(self.merge(context) + hidden)
        expanded = self.activation(self.expand(hidden))  # (B*S, F)
        output: Tensor = self.output_norm(self.contract(expanded) + hidden)
        return output


class BatchGraph(nn.Module):
    """A DistilBERT or BERT of transformers with its head, restated for batches.

    Works on a copy of the weights, on the CPU in float32; the given model stays as it is.

    Attributes:
        max_length: the largest S, which is the number of rows of the position table.
        interface: what the head gives.

    Raises:
        ConversionError: an architecture, activation or head that is not supported.
    """

    def __init__(self, model: Any) -> None:
        """Copy the weights of `model`, and refuse what the graph cannot express."""
        super().__init__()
        parts = take_apart(model)
        self.word_embeddings = parts.words
        self.position_embeddings = parts.positions
        # A student has no segments; the graph keeps the input, so that every file is called alike.
        self.segment_embeddings = parts.segments
        self.embedding_norm = parts.embedding_norm
        self.layers = nn.ModuleList(
            _EncoderLayer(layer, parts.heads, parts.activation) for layer in parts.layers
        )
        self.interface = parts.interface
        self.head = BATCH_HEADS[parts.interface.signature](parts)
        self.max_length = parts.max_length
        self.eval()

    def forward(self, ids: Tensor, mask: Tensor, segment_ids: Tensor) -> tuple[Tensor, ...]:
        """Run the encoder and the head.

        Args:
            ids: token ids, int32 (B, S), S at most `max_length`.
            mask: 1 for a token, 0 for padding, int32 (B, S).
            segment_ids: 0 for the first text, 1 for the second, int32 (B, S).

        Returns:
            The outputs of `interface`: float32 (B, S) for tokens, with `MASK_BIAS` added to
            padding; (B, C) for classes.
        """
        length = ids.shape[1]
        bias = (1.0 - mask.to(self.word_embeddings.weight.dtype)) * MASK_BIAS  # (B, S)
        hidden = self.word_embeddings(ids) + self.position_embeddings.weight[:length]  # (B, S, D)
        if self.segment_embeddings is not None:
            hidden = hidden + self.segment_embeddings(segment_ids)
        hidden = self.embedding_norm(hidden.flatten(0, 1))  # (B, S, D) -> (B*S, D)
        for layer in self.layers:
            hidden = layer(hidden, bias[:, None, None, :])  # (B, S) -> (B, 1, 1, S)
        outputs: tuple[Tensor, ...] = self.head(hidden, bias)
        return outputs
