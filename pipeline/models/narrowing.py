# SPDX-License-Identifier: Apache-2.0
"""Feed-forward layers with fewer neurons: which ones stay, and the model without the others.

A neuron of a feed-forward layer is a row of its first matrix and a column of its second one, so the
model without it is an ordinary one with a smaller `intermediate_size`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.fields import Neurons

# Where the two matrices of a layer lie, and what the configuration calls their width.
MATRICES = {
    "bert": ("encoder.layer.{}.intermediate.dense", "encoder.layer.{}.output.dense"),
    "distilbert": ("transformer.layer.{}.ffn.lin1", "transformer.layer.{}.ffn.lin2"),
}
WIDTH = {"bert": "intermediate_size", "distilbert": "hidden_dim"}


def importance(
    model: Any,
    batches: Iterable[Any],
    loss: Callable[[Any, Any], Tensor],
    rule: Neurons,
    seed: int,
) -> list[Tensor]:
    """How much each neuron matters, float64 [neurons] for each layer.

    Args:
        model: a BERT or a DistilBERT of transformers with a head.
        batches: of examples; each has an `attention_mask` [B, S].
        loss: of the model on a batch, a scalar.
        rule: `activation`: the mean size of its activation times the length of its column in the
            second matrix, which is how far it moves the layer's output.  `taylor`: the mean over
            the examples of the size of activation times gradient, added up over the tokens: to
            first order the change of the loss without it (Molchanov et al. 2017, equation 4).
            `random`: nothing is measured, for comparisons.
        seed: for `random`.
    """
    seconds = [second for _, second in matrices(model)]
    if rule == "random":
        generator = torch.Generator().manual_seed(seed)
        width = seconds[0].in_features
        return [torch.rand(width, generator=generator, dtype=torch.float64) for _ in seconds]
    seen: dict[int, Tensor] = {}
    hooks = [
        second.register_forward_pre_hook(
            lambda _, inputs, place=place: _keep(seen, place, inputs[0], rule)
        )
        for place, second in enumerate(seconds)
    ]
    sums = [torch.zeros(second.in_features, dtype=torch.float64) for second in seconds]
    was_training = model.training
    model.eval()
    try:
        for batch in batches:
            with torch.set_grad_enabled(rule == "taylor"):
                value = loss(model, batch)
            if rule == "taylor":
                torch.autograd.backward(value)
            for place, second in enumerate(seconds):
                sums[place] += _moved(seen[place], second, batch["attention_mask"], rule).cpu()
            model.zero_grad(set_to_none=True)
    finally:
        for hook in hooks:
            hook.remove()
        model.train(was_training)
    return sums


def _keep(seen: dict[int, Tensor], place: int, activations: Tensor, rule: Neurons) -> None:
    """Keeps what a layer's second matrix reads, [B, S, neurons], with its gradient if wanted."""
    if rule == "taylor":
        activations.retain_grad()
    seen[place] = activations


def _moved(activations: Tensor, second: nn.Linear, mask: Tensor, rule: Neurons) -> Tensor:
    """What one batch adds to the importance of each neuron, float64 [neurons]."""
    if rule == "taylor":
        assert activations.grad is not None
        each = (activations.detach() * activations.grad).sum(dim=1)  # [B, neurons]
        return each.abs().double().sum(dim=0)
    tokens = activations.detach()[mask.bool()].abs().double().sum(dim=0)
    lengths: Tensor = torch.linalg.vector_norm(second.weight.detach().double(), dim=0)
    return tokens * lengths


def narrowed(model: Any, scores: Sequence[Tensor], width: int) -> Any:
    """A copy of the model that keeps the `width` neurons with the highest scores of each layer.

    Kept neurons stay in their order; of equal scores the earlier one stays.

    Args:
        model: as in `importance`, on the CPU.
        scores: as `importance` gave them.
        width: how many neurons stay.
    """
    config = copy.deepcopy(model.config)
    setattr(config, WIDTH[config.model_type], width)
    state = dict(model.state_dict())
    for names, score in zip(_names(model), scores, strict=True):
        order = torch.argsort(score, descending=True, stable=True)
        kept = order[:width].sort().values
        first, second = (f"{model.base_model_prefix}.{name}" for name in names)
        state[f"{first}.weight"] = state[f"{first}.weight"][kept]
        state[f"{first}.bias"] = state[f"{first}.bias"][kept]
        state[f"{second}.weight"] = state[f"{second}.weight"][:, kept]
    made = type(model)(config)
    made.load_state_dict(state)
    return made.train(model.training)


def matrices(model: Any) -> list[tuple[nn.Linear, nn.Linear]]:
    """The two matrices of each feed-forward layer."""
    base = model.base_model
    return [
        (base.get_submodule(first), base.get_submodule(second)) for first, second in _names(model)
    ]


def _names(model: Any) -> list[tuple[str, str]]:
    first, second = MATRICES[model.config.model_type]
    return [
        (first.format(layer), second.format(layer))
        for layer in range(model.config.num_hidden_layers)
    ]
