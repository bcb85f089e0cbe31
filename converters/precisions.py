# SPDX-License-Identifier: Apache-2.0
"""The precisions of every target; imports no format's libraries."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from converters import ConversionError

# What weights can be stored in, and what each is for. `--precision all` makes them in this order.
TFLITE: Mapping[str, str] = MappingProxyType(
    {
        "int8": "the default on a CPU: one scale an output channel",
        "int8-per-tensor": "for runtimes of 2024 and older, whose ARM code misreads channel scales",
        "fp32": "the reference",
        "fp16": "half the size, for GPUs; a CPU expands the weights to float32",
        "int4": "the smallest layers; needs a LiteRT runtime",
        "mixed": "int4 where it was measured to cost least, else int8; needs a LiteRT runtime",
    }
)

# Computation is fp16 in all but fp32.
COREML: Mapping[str, str] = MappingProxyType(
    {
        "int8": "half of fp16: one scale an output channel",
        "fp32": "the reference; the Neural Engine cannot run it",
        "fp16": "what Core ML computes in: the default",
        "palette6": "a table of 64 values a weight, found by k-means",
        "int4": "the smallest: one scale for 32 inputs; needs iOS 18",
    }
)

ONNX: Mapping[str, str] = MappingProxyType(
    {
        "int8": "the default on a CPU: one scale an output channel; exact in a default session",
        "fp32": "the reference",
        "fp16": "half the size, for GPUs and NPUs; a CPU computes in float32 all the same",
    }
)

# Precision -> the name by which optimum and transformers.js ask for its file in the folder `onnx/`.
ONNX_HUB_FILES: Mapping[str, str] = MappingProxyType(
    {"int8": "model_quantized.onnx", "fp32": "model.onnx", "fp16": "model_fp16.onnx"}
)

# Precision -> what transformers.js calls it (its option `dtype`).
ONNX_HUB_DTYPES: Mapping[str, str] = MappingProxyType(
    {"int8": "q8", "fp32": "fp32", "fp16": "fp16"}
)

PRECISIONS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"tflite": TFLITE, "coreml": COREML, "onnx": ONNX}
)


def check_precision(precision: str, offered: Collection[str]) -> None:
    """Refuse a precision that is not `offered` with a `ConversionError`."""
    if precision not in offered:
        raise ConversionError(f"unknown precision {precision!r}: choose from {', '.join(offered)}")
