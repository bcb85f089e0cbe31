# SPDX-License-Identifier: Apache-2.0
"""DistilBERT and BERT taken apart: the same parts by the same names, ready to be restated.

Export graphs restate the forward pass, because Hugging Face's own pulls in mask helpers that no
target converts well. What they all need is here: which models can be restated, where each keeps
its parts, and what is changed in the weights. Architectures: Devlin et al. 2019 (BERT) and Sanh et
al. 2019 (DistilBERT), both post-norm.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from converters import ConversionError
from converters.interface import INTERFACES, SPANS, Interface, interface_of_class

# 1e-12, which BERT and DistilBERT use, is 0 in fp16: a constant row would divide by zero. This is
# the smallest value that survives there, far below the variances that occur (about 1).
SMALLEST_EPS = 1e-7


def _gelu_tanh(hidden: Tensor) -> Tensor:
    return functional.gelu(hidden, approximate="tanh")


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_new": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "relu": functional.relu,
    "silu": functional.silu,
}

# Where the two architectures keep the same parts: our name -> (DistilBERT's path, BERT's path).
_LAYER_PARTS = {
    "query": ("attention.q_lin", "attention.self.query"),
    "key": ("attention.k_lin", "attention.self.key"),
    "value": ("attention.v_lin", "attention.self.value"),
    "merge": ("attention.out_lin", "attention.output.dense"),
    "attention_norm": ("sa_layer_norm", "attention.output.LayerNorm"),
    "expand": ("ffn.lin1", "intermediate.dense"),
    "contract": ("ffn.lin2", "output.dense"),
    "output_norm": ("output_layer_norm", "output.LayerNorm"),
}


@dataclass(frozen=True)
class Parts:
    """The modules of a model with a head, D wide.

    Attributes:
        words: table of token embeddings.
        positions: table of position embeddings, `max_length` rows.
        segments: table of segment embeddings; None for a student, which has no segments.
        embedding_norm: after the sum of the tables.
        layers: of each encoder layer the linear layers query, key, value, merge, expand, contract
            and the norms attention_norm, output_norm.
        heads: of attention.
        activation: a key of `ACTIVATIONS`, between expand and contract.
        interface: what the head gives.
        head: its linear layers. `out` comes last: D to 2 for spans, the start logit and the end
            logit of a token; D to C for classes, where `dense`, D to D, comes before it.
        between: the activation between `dense` and `out`, "relu" or "tanh".
        max_length: the most tokens that the model can take.
    """

    words: nn.Embedding
    positions: nn.Embedding
    segments: nn.Embedding | None
    embedding_norm: nn.LayerNorm
    layers: tuple[dict[str, nn.Module], ...]
    heads: int
    activation: str
    interface: Interface
    head: dict[str, nn.Module]
    between: str
    max_length: int


def take_apart(model: Any) -> Parts:
    """Copy a BERT or DistilBERT of transformers with a head of `INTERFACES` into its parts.

    The copy is on the CPU, in float32 and without gradients; the given model stays as it is. In the
    copy, the attention scale 1/sqrt(D/H) is multiplied into the queries (one operator less, and
    smaller scores in fp16), and the epsilon of a norm is at least `SMALLEST_EPS`.

    Raises:
        ConversionError: an architecture, activation or head that is not supported.
    """
    config: Any = getattr(model, "config", None)
    kind = getattr(config, "model_type", type(model).__name__)
    name = type(model).__name__
    if kind not in ("distilbert", "bert") or not name.endswith(tuple(i.head for i in INTERFACES)):
        raise ConversionError(
            f"cannot export {name} ({kind}): pass a DistilBERT or a BERT of transformers with the "
            f"head {' or '.join(one.head for one in INTERFACES)}"
        )
    interface = interface_of_class(name)
    is_bert = kind == "bert"
    activation = config.hidden_act if is_bert else config.activation
    if activation not in ACTIVATIONS:
        raise ConversionError(
            f"activation {activation!r} has no mobile form: "
            f"train with one of {', '.join(sorted(ACTIVATIONS))}"
        )
    if interface is SPANS and model.qa_outputs.out_features != 2:
        raise ConversionError(
            f"the answer head has {model.qa_outputs.out_features} outputs: a span needs "
            "exactly 2, start and end; set num_labels=2 and train again"
        )
    if getattr(config, "position_embedding_type", "absolute") != "absolute":
        raise ConversionError(
            f"position embeddings of type {config.position_embedding_type!r} cannot be "
            "exported: train with 'absolute'"
        )

    source = copy.deepcopy(model).to("cpu", torch.float32).requires_grad_(False)
    body = source.bert if is_bert else source.distilbert
    layers = tuple(
        {name: layer.get_submodule(path[is_bert]) for name, path in _LAYER_PARTS.items()}
        for layer in (body.encoder.layer if is_bert else body.transformer.layer)
    )
    for layer in layers:
        query = layer["query"]
        scale = (query.out_features // config.num_attention_heads) ** -0.5
        query.weight.mul_(scale)
        query.bias.mul_(scale)
    for part in source.modules():
        if isinstance(part, nn.LayerNorm):
            part.eps = max(part.eps, SMALLEST_EPS)
    return Parts(
        words=body.embeddings.word_embeddings,
        positions=body.embeddings.position_embeddings,
        segments=body.embeddings.token_type_embeddings if is_bert else None,
        embedding_norm=body.embeddings.LayerNorm,
        layers=layers,
        heads=config.num_attention_heads,
        activation=activation,
        interface=interface,
        head=_head(source, interface, is_bert=is_bert),
        between="tanh" if is_bert else "relu",
        max_length=int(config.max_position_embeddings),
    )


def _head(source: Any, interface: Interface, *, is_bert: bool) -> dict[str, nn.Module]:
    """The linear layers of a model's head, see `Parts`."""
    if interface is SPANS:
        return {"out": source.qa_outputs}
    # BERT's pooler and DistilBERT's pre_classifier are the same layer; the activation differs.
    dense = source.bert.pooler.dense if is_bert else source.pre_classifier
    return {"dense": dense, "out": source.classifier}
