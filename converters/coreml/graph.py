# SPDX-License-Identifier: Apache-2.0
"""The export graph in the two layouts that Core ML runs: plain, and for the Neural Engine.

Both hold the weights of `graphs.mobile.MobileGraph` and compute the same logits. The
second follows Apple's "Deploying Transformers on the Apple Neural Engine" (2022): channels first
(1, C, 1, S), 1x1 convolutions for linear layers, one small attention a head, no reshape and one
transpose a layer.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from converters import ConversionError
from converters.graphs.architecture import ACTIVATIONS
from converters.graphs.heads import ClassHead, SpanHead
from converters.graphs.mobile import EncoderLayer, LayerNorm, MobileGraph
from converters.interface import MASK_BIAS

# What can be asked for, and what each is for.
LAYOUTS = {
    "plain": "CPU and GPU: linear layers on (S, D)",
    "ane": "the Neural Engine: 1x1 convolutions on (1, D, 1, S), heads apart",
}

# Multiplies two stacks of matrices without moving an axis: the one form Core ML has for it.
_MATMUL = "nchw,nwhu->nchu"


def _gelu_tanh(hidden: Tensor) -> Tensor:
    """The approximate GELU (Hendrycks and Gimpel 2016), which coremltools makes one operation of.

    Of PyTorch's own operator it overlooks `approximate` and converts the exact GELU: up to 5e-4 off
    in every activation, and nothing says so.
    """
    reach = math.sqrt(2.0 / math.pi) * (hidden + 0.044715 * hidden**3)
    return hidden * 0.5 * (1.0 + torch.tanh(reach))


class _FusedLayerNorm(nn.Module):
    """Layer normalization as one operator, which squares no value in fp16 outside of it."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias
        self.eps = norm.eps

    def forward(self, hidden: Tensor) -> Tensor:
        return functional.layer_norm(
            hidden, self.weight.shape, self.weight, self.bias, eps=self.eps
        )


class CoreMlGraph(MobileGraph):
    """The plain layout: the mobile graph with one operator for each normalization."""

    norm_type = _FusedLayerNorm


class _ChannelNorm(LayerNorm):
    """Layer normalization over the channels of (1, D, 1, S).

    The bias is subtracted with its sign turned: coremltools would make a product and a sum into a
    batch normalization with an epsilon of its own, which its materialized functions cannot hold.
    """

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__(norm)
        self.weight, self.bias = (
            nn.Parameter(each[:, None, None], requires_grad=False)  # (D,) -> (D, 1, 1)
            for each in (self.weight, -self.bias)
        )

    def forward(self, hidden: Tensor) -> Tensor:
        centered = hidden - hidden.mean(1, keepdim=True)  # (1, D, 1, S)
        variance = (centered * centered).mean(1, keepdim=True)  # (1, 1, 1, S)
        return centered * torch.rsqrt(variance + self.eps) * self.weight - self.bias


class _Convolution(nn.Module):
    """A linear layer as a 1x1 convolution over (1, D, 1, S)."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        # (out, in) -> (out, in, 1, 1)
        self.weight = nn.Parameter(linear.weight[:, :, None, None], requires_grad=False)
        self.bias = linear.bias

    def forward(self, hidden: Tensor) -> Tensor:
        return functional.conv2d(hidden, self.weight, self.bias)


class _ChannelsFirstLayer(EncoderLayer):
    """One Transformer encoder layer on (1, D, 1, S) hidden states."""

    def __init__(self, parts: dict[str, nn.Module], heads: int, activation: str) -> None:
        super().__init__(parts, heads, activation)
        for name, part in list(self.named_children()):
            if isinstance(part, nn.Linear):
                setattr(self, name, _Convolution(part))

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """Apply the layer to `hidden` (1, D, 1, S), with `bias` (1, S, 1, 1) for each key."""
        size = hidden.shape[1] // self.heads
        queries = self.query(hidden).split(size, dim=1)  # heads of (1, D/H, 1, S)
        keys = self.key(hidden).transpose(1, 3).split(size, dim=3)  # heads of (1, S, 1, D/H)
        values = self.value(hidden).split(size, dim=1)  # heads of (1, D/H, 1, S)
        contexts = []
        for query, key, value in zip(queries, keys, values, strict=True):
            scores = torch.einsum(_MATMUL, key, query) + bias  # (1, S keys, 1, S queries)
            contexts.append(torch.einsum(_MATMUL, value, scores.softmax(dim=1)))  # (1, D/H, 1, S)
        context = torch.cat(contexts, dim=1)  # (1, D, 1, S)
        hidden = self.attention_norm(self.merge(context) + hidden)
        expanded = self.activation(self.expand(hidden))  # (1, F, 1, S)
        output: Tensor = self.output_norm(self.contract(expanded) + hidden)
        return output


class NeuralEngineGraph(MobileGraph):
    """The layout for the Neural Engine; weights get the shapes that convolutions have."""

    norm_type = _ChannelNorm
    layer_type = _ChannelsFirstLayer

    def __init__(self, model: Any) -> None:
        """See `MobileGraph`."""
        super().__init__(model)
        for name, part in list(self.head.named_children()):
            if isinstance(part, nn.Linear):
                setattr(self.head, name, _Convolution(part))

    def forward(self, ids: Tensor, mask: Tensor, segment_ids: Tensor) -> tuple[Tensor, ...]:
        """See `MobileGraph.forward`."""
        bias = (1.0 - mask.to(self.word_embeddings.table.weight.dtype)) * MASK_BIAS  # (1, S)
        key_bias = bias.unsqueeze(2).unsqueeze(3)  # (1, S) -> (1, S, 1, 1)
        hidden = self.embed(ids, segment_ids).transpose(0, 1)  # (S, D) -> (D, S)
        hidden = self.embedding_norm(hidden.unsqueeze(0).unsqueeze(2))  # (D, S) -> (1, D, 1, S)
        for layer in self.layers:
            hidden = layer(hidden, key_bias)
        if isinstance(self.head, SpanHead):
            # (1, D, 1, S) -> (1, 1, 1, S) -> (1, S)
            start, end = (part(hidden).squeeze(2).squeeze(1) for part in self.head.children())
            return start + bias, end + bias
        assert isinstance(self.head, ClassHead)
        first = self.head.between(self.head.dense(hidden[..., :1]))  # (1, D, 1, S) -> (1, D, 1, 1)
        return (self.head.out(first).squeeze(3).squeeze(2),)  # (1, C, 1, 1) -> (1, C)


def restate(model: Any, layout: str) -> MobileGraph:
    """The export graph of a Hugging Face model, in a layout of `LAYOUTS`.

    Raises:
        ConversionError: the layout or the model is not supported.
    """
    graphs = {"plain": CoreMlGraph, "ane": NeuralEngineGraph}
    if layout not in graphs:
        raise ConversionError(f"unknown layout {layout!r}: choose from {', '.join(LAYOUTS)}")
    graph = graphs[layout](model)
    for layer in graph.layers:
        if isinstance(layer, EncoderLayer) and layer.activation is ACTIVATIONS["gelu_new"]:
            layer.activation = _gelu_tanh
    return graph


def weights(model: Any, layout: str) -> dict[str, NDArray[np.float32]]:
    """What the constants of a package are made from, by name, in the shapes of the layout.

    These are the model's own weights as the graph restates them: columns of the embedding tables
    scaled by powers of two, 1/sqrt(head size) in the queries, a span head in two halves.
    """
    return {name: weight.numpy() for name, weight in restate(model, layout).state_dict().items()}
