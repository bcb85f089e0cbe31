# SPDX-License-Identifier: Apache-2.0
"""How far the logits of a file may be off in another runtime."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

# Largest error of a logit, as a share of the range of all logits of the reference. Runtimes round
# the activations of integer layers in two ways, which was seen to cost up to 3 %; what is wrong is
# off by 40 % and more. Float files differ in the last bits only.
LIMIT_INTEGER = 0.1
LIMIT_FLOAT = 0.001

# How the types of weights that are computed with integers end.
_NARROW = ("int8", "int4", "int2")


def largest_error(file: Path) -> float:
    """The share of the range of all logits that one of a .tflite or .onnx file may be off."""
    # Late: the packages of the other kind may be missing.
    kind = import_module(f"converters.{'tflite' if file.suffix == '.tflite' else 'onnx'}.file")
    summary, least = kind.describe(file), kind.SMALLEST_WEIGHT_BYTES
    dtypes = (weight.dtype for weight in summary.weights if weight.bytes >= least)
    return LIMIT_INTEGER if any(dtype.endswith(_NARROW) for dtype in dtypes) else LIMIT_FLOAT
