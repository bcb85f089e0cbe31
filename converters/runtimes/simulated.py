# SPDX-License-Identifier: Apache-2.0
"""A model in PyTorch that computes as its .tflite file does, with any weights in int4 or int8.

To learn what int4 costs, a file for each choice would have to be converted. Here the weights are
rounded as the quantizer rounds them, and the inputs of integer layers as XNNPACK rounds them while
it runs: to 256 levels, token by token.

Logits of a tiny model agree to their last digits. In a wide model, some of the many inputs lie at
an edge between two levels, where a sum in another order decides: the noise of rounding is then as
large as that of the file, but not the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from converters import ConversionError
from converters.graphs.mobile import MobileGraph
from converters.runtimes.predictor import Ids, Outputs, checked_length
from converters.tflite.mixed import BLOCK, group_names, modules_of

# Keeps the scale of a weight of zeros above zero: the quantizer's own number.
_SMALLEST_REACH = 1e-9
_LEVELS = 255  # steps from the lowest to the highest value of int8


class Simulated:
    """A student with weights as a file stores them: a `Predictor` that can change its weights.

    Attributes:
        name: what reports call it.
        interface: what it gives.
        max_length: the largest S.
        bytes_saved: group of weights -> bytes that int4 saves over int8. A group is missing if its
            sizes are not multiples of the block of int4.
    """

    def __init__(self, model: Any, name: str = "simulated", device: Any = "cpu") -> None:
        """Copy a DistilBERT or BERT with a head, in float32 until `store` is called.

        Raises:
            ConversionError: the model is not supported.
        """
        self.name = name
        graph = MobileGraph(model).to(device)
        self.interface, self.max_length = graph.interface, graph.max_length
        self._graph, self._device = graph, device
        self._modules: dict[str, nn.Linear | nn.Embedding] = {
            path: module
            for path, module in graph.named_modules()
            if isinstance(module, (nn.Linear, nn.Embedding))
        }
        self._float = {path: each.weight.detach().clone() for path, each in self._modules.items()}
        self._integer: set[str] = set()  # whose inputs are rounded
        for path, module in self._modules.items():
            if isinstance(module, nn.Linear):
                module.register_forward_pre_hook(self._rounding(path))
        saved = {name: self._saved(name) for name in group_names(len(graph.layers))}
        self.bytes_saved: Mapping[str, int] = MappingProxyType(
            {name: size for name, size in saved.items() if size}
        )

    def store(self, int4: Collection[str] = (), rest: Literal["int8", "fp32"] = "int8") -> None:
        """Round the weights as a file has them.

        Args:
            int4: groups of `bytes_saved`, in int4.
            rest: what all other weights are stored in.

        Raises:
            ConversionError: a group that cannot be stored in int4.
        """
        for group in int4:
            if group not in self.bytes_saved:
                raise ConversionError(
                    f"{group!r} cannot be stored in int4: choose from {', '.join(self.bytes_saved)}"
                )
        blocks = {path for group in int4 for path in modules_of(group)}
        self._integer = {path for path in self._modules if rest == "int8" or path in blocks}
        with torch.no_grad():
            for path, module in self._modules.items():
                weight = self._float[path]
                if path in blocks:
                    weight = rounded(weight, 4, BLOCK)
                elif rest == "int8":
                    table = isinstance(module, nn.Embedding)
                    weight = rounded(weight, 8, weight.numel() if table else weight.shape[1])
                module.weight.copy_(weight)

    def run(self, ids: Ids, mask: Ids, segment_ids: Ids) -> Outputs:
        """See `Predictor.run`."""
        length = checked_length(self, ids, mask, segment_ids)
        with torch.no_grad():
            found = self._graph(
                *(
                    torch.as_tensor(array, dtype=torch.int32, device=self._device)
                    for array in (ids, mask, segment_ids)
                )
            )
        return self.interface.row((each.float().cpu().numpy() for each in found), length)

    def _saved(self, group: str) -> int:
        """Bytes that a group saves in int4; 0 if it cannot be stored so."""
        weights = [self._float[path] for path in modules_of(group)]
        if any(weight.shape[1] % BLOCK for weight in weights):
            return 0
        values = sum(weight.numel() for weight in weights)
        return values - values // 2 - 2 * values // BLOCK  # a scale of 16 bits for each block

    def _rounding(self, path: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
            if path not in self._integer:
                return None
            return (rounded_rows(inputs[0]), *inputs[1:])

        return hook


def rounded(weight: Tensor, bits: int, block: int) -> Tensor:
    """The values that a weight has in a file, float32 of its shape.

    Quantization is symmetric: a scale is the largest magnitude of its block over the largest
    integer. In int4 the scale is rounded to bfloat16 and -8 is used; in int8 -128 is not.

    Args:
        weight: float32 (O, I).
        bits: 4 or 8.
        block: so many neighboring values share a scale; a divisor of O I.
    """
    top = 2 ** (bits - 1) - 1
    values = weight.reshape(-1, block)  # (O, I) -> (O I / block, block)
    scale = values.abs().amax(-1, keepdim=True).clamp_min(_SMALLEST_REACH) / top
    if bits == 4:
        scale = scale.to(torch.bfloat16).to(torch.float16).to(torch.float32)
    steps = torch.where(scale > 0, values / scale, 0.0).round()
    return steps.clamp(-top - (bits == 4), top).mul(scale).reshape(weight.shape)


def rounded_rows(hidden: Tensor) -> Tensor:
    """The inputs of an integer layer as XNNPACK rounds them: float (S, D) to the same shape.

    Each row has 256 levels from its lowest value to its highest, 0 among them
    (`xnn_f32_qd8_asymmetric_quantization_params`).
    """
    lowest = hidden.amin(-1, keepdim=True).clamp_max(0)  # (S, 1)
    highest = hidden.amax(-1, keepdim=True).clamp_min(0)  # (S, 1)
    reach = highest - lowest
    inverse = torch.where(reach > 0, _LEVELS / reach, 1.0)
    low, high = lowest * inverse, highest * inverse
    # The zero point is taken from the end at which its rounding error is the smaller one.
    zero = torch.where((-128 + low) + (127 + high) > 0, -128 - low, 127 - high)
    zero = zero.clamp(-128, 127).round()
    levels = ((hidden * inverse).round() + zero).clamp(-128, 127)
    return (levels - zero) / inverse
