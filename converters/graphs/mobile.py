# SPDX-License-Identifier: Apache-2.0
"""The forward pass of a model with a head, restated so that its export runs at any length.

The weights are the Hugging Face model's own; its forward is not used, because its mask helpers
export to operators that phones lack. The rules followed here, each of which keeps a traced graph
free of constants that fix the sequence length S:

- batch 1, hidden states of rank 2 and attention of rank 3: no reshape holds S twice;
- position ids come from a running sum over the input: a range would be folded into a constant;
- no output is a slice along S of a joint result: see `heads.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from converters.graphs.architecture import ACTIVATIONS, take_apart
from converters.graphs.heads import HEADS
from converters.interface import MASK_BIAS

SMALLEST_REACH = 1e-9  # the quantizer's, so that a table of zeros has a scale


def column_scales(weight: Tensor) -> Tensor:
    """The power of two, float (D,), that each column of a table (V, D) is divided by."""
    reach = weight.abs().amax(0).clamp_min(torch.finfo(torch.float16).tiny)  # (D,)
    return torch.exp2(torch.ceil(torch.log2(reach)))


def stored_in_int8(weight: Tensor) -> Tensor:
    """The values, float (V, D), that an int8 .tflite file has of a table (V, D).

    Its columns are divided as in `_Table`. Then all of it is rounded to whole multiples of one
    scale, half to even, as the quantizer does (`quantize.py`); the graph multiplies the columns.
    """
    columns = column_scales(weight)  # (D,)
    even = weight / columns  # (V, D)
    scale = even.abs().max().clamp_min(SMALLEST_REACH) / 127
    return (even / scale).round() * scale * columns


class _Table(nn.Module):
    """An embedding table whose columns reach about as far as each other, undone after the lookup.

    An integer table has one scale (see `quantize.py`), so one column of large values takes the bits
    of all others: on a trained student 4 % and 12 % of the word and position tables were lost to
    rounding, 1 % and 1 % so. Powers of two change no bit of the float weights.
    """

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        self.scale = nn.Buffer(column_scales(table.weight))
        self.table = table
        table.weight.div_(self.scale)

    def forward(self, ids: Tensor) -> Tensor:
        """Look up `ids` (S,): float (S, D)."""
        rows: Tensor = self.table(ids)
        return rows * self.scale


class LayerNorm(nn.Module):
    """Layer normalization over the last dimension (Ba et al. 2016), without a single reshape."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias
        self.eps = norm.eps

    def forward(self, hidden: Tensor) -> Tensor:
        """Normalize each row of `hidden` (S, D)."""
        centered = hidden - hidden.mean(-1, keepdim=True)  # (S, D)
        variance = (centered * centered).mean(-1, keepdim=True)  # (S, 1)
        return centered * torch.rsqrt(variance + self.eps) * self.weight + self.bias


class EncoderLayer(nn.Module):
    """One Transformer encoder layer (Vaswani et al. 2017, section 3.1) on (S, D) hidden states."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    merge: nn.Linear
    attention_norm: nn.Module
    expand: nn.Linear
    contract: nn.Linear
    output_norm: nn.Module

    def __init__(self, parts: dict[str, nn.Module], heads: int, activation: str) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.heads, self.activation = heads, ACTIVATIONS[activation]

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """Apply the layer to `hidden` (S, D), with `bias` (1, 1, S) added to the scores."""
        length, dim = hidden.shape

        def split(states: Tensor) -> Tensor:
            return states.reshape(length, self.heads, -1).transpose(0, 1)  # (S, D) -> (H, S, D/H)

        query, key = split(self.query(hidden)), split(self.key(hidden))
        weights = torch.softmax(torch.matmul(query, key.transpose(1, 2)) + bias, dim=-1)
        # Values come after the weights (H, S, S), by far the largest tensor: a runtime computes in
        # this order, and need not hold them beside query, key and scores.
        context = torch.matmul(weights, split(self.value(hidden)))  # (H, S, D/H)
        context = context.transpose(0, 1).reshape(length, dim)  # (H, S, D/H) -> (S, D)
        hidden = self.attention_norm(self.merge(context) + hidden)
        expanded = self.activation(self.expand(hidden))  # (S, F)
        output: Tensor = self.output_norm(self.contract(expanded) + hidden)
        return output


class MobileGraph(nn.Module):
    """A DistilBERT or BERT of transformers with its head, restated for export.

    Works on a copy of the weights, on the CPU in float32; the given model stays as it is.

    Attributes:
        max_length: the largest S, which is the number of rows of the position table.
        interface: what the head gives.
        norm_type, layer_type: what a normalization and a layer become; a target may have its own.

    Raises:
        ConversionError: an architecture, activation or head that is not supported.
    """

    norm_type: type[nn.Module] = LayerNorm
    layer_type: type[EncoderLayer] = EncoderLayer
    segment_embeddings: _Table | None

    def __init__(self, model: Any) -> None:
        """Copy the weights of `model`, and refuse what the graph cannot express."""
        super().__init__()
        parts = take_apart(model)
        self.word_embeddings = _Table(parts.words)
        self.position_embeddings = _Table(parts.positions)
        # A student has no segments; the graph keeps the input, which runtimes count on.
        self.segment_embeddings = _Table(parts.segments) if parts.segments is not None else None
        self.embedding_norm = self.norm_type(parts.embedding_norm)
        self.layers = nn.ModuleList(
            self.layer_type(
                {name: self._restated(part) for name, part in layer.items()},
                parts.heads,
                parts.activation,
            )
            for layer in parts.layers
        )
        self.interface = parts.interface
        self.head = HEADS[parts.interface.signature](parts)
        self.max_length = parts.max_length
        self.eval()

    def forward(self, ids: Tensor, mask: Tensor, segment_ids: Tensor) -> tuple[Tensor, ...]:
        """Run the encoder and the head.

        Args:
            ids: token ids, int32 (1, S), S at most `max_length`.
            mask: 1 for a token, 0 for padding, int32 (1, S).
            segment_ids: 0 for the first text, 1 for the second, int32 (1, S).

        Returns:
            The outputs of `interface`: float32 (1, S) for tokens, with `MASK_BIAS` added to
            padding; (1, C) for classes.
        """
        bias = (1.0 - mask.to(self.word_embeddings.table.weight.dtype)) * MASK_BIAS  # (1, S)
        hidden = self.embedding_norm(self.embed(ids, segment_ids))  # (S, D)
        for layer in self.layers:
            hidden = layer(hidden, bias.reshape(1, 1, -1))  # (1, S) -> (1, 1, S)
        outputs: tuple[Tensor, ...] = self.head(hidden, bias)
        return outputs

    def embed(self, ids: Tensor, segment_ids: Tensor) -> Tensor:
        """Sum of the embeddings of int32 `ids` and `segment_ids` (1, S): float (S, D)."""
        # Every id is >= 0, but the converter cannot know: the sum stays in the graph.
        positions = torch.cumsum((ids >= 0).to(torch.int32), dim=1, dtype=torch.int32) - 1
        hidden: Tensor = self.word_embeddings(ids.reshape(-1))  # (1, S) -> (S, D)
        hidden = hidden + self.position_embeddings(positions.reshape(-1))  # (1, S) -> (S, D)
        if self.segment_embeddings is not None:
            hidden = hidden + self.segment_embeddings(segment_ids.reshape(-1))  # (1, S) -> (S, D)
        return hidden

    def _restated(self, part: nn.Module) -> nn.Module:
        return self.norm_type(part) if isinstance(part, nn.LayerNorm) else part
