# SPDX-License-Identifier: Apache-2.0
"""Float .tflite to the precisions that phones run: which weights get how many bits and scales.

Only weights are stored in fewer bits. Activations stay float32 in the file; integer layers quantize
them row by row while running (dynamic range), so no calibration data is needed. Biases and
normalization stay float32.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from converters import ConversionError
from converters.precisions import TFLITE, check_precision
from converters.tflite import file as tflite_file
from converters.tflite.channels import scale_outputs
from converters.tflite.mixed import BLOCK, scopes


class _Layers(NamedTuple):
    """How the linear layers of an integer precision are stored."""

    bits: int
    granularity: str  # a QuantGranularity of ai-edge-quantizer


# Blocks of 32 inputs share a scale in int4: a third less error than one scale an output channel.
_BLOCKS = _Layers(4, f"BLOCKWISE_{BLOCK}")
_INTEGER_LAYERS = {
    "int8": _Layers(8, "CHANNELWISE"),
    "int8-per-tensor": _Layers(8, "TENSORWISE"),
    "int4": _BLOCKS,
    "mixed": _Layers(8, "CHANNELWISE"),
}
# Tables get ONE scale: TensorFlow Lite 2.16 reads a table with a scale a row as zeros, without an
# error. With one scale, 4 bits are too few. Runtimes that compute int4 layers look up tables with
# blocks as well, so that `mixed` may have them; they do not take int8 in blocks.
_TABLES = _Layers(8, "TENSORWISE")


def quantize(float_model: bytes, precision: str, int4: Collection[str] | None = None) -> bytes:
    """Quantize the weights of a float .tflite.

    Args:
        float_model: bytes of a float32 .tflite file.
        precision: a key of `converters.precisions.TFLITE`; "fp32" returns the model as it is.
        int4: the groups of `converters.tflite.mixed` that "mixed" stores in int4; it stores the
            others in int8. Other precisions do not look at it.

    Returns:
        Bytes of the quantized file; its weights may lie behind the flatbuffer.

    Raises:
        ConversionError: an unknown precision, int4 with dimensions that its blocks do not fit, or
            "mixed" without its groups.
    """
    check_precision(precision, TFLITE)
    if precision == "mixed" and int4 is None:
        raise ConversionError(
            "mixed needs to know what is stored in int4: name groups of weights such as words or "
            "layer 0 attention, or none"
        )
    if precision == "fp32":
        return float_model
    from ai_edge_quantizer import qtyping, quantizer  # late: fp32 does not need these seconds

    if precision == "int8-per-tensor":
        float_model = scale_outputs(float_model)
    worker = quantizer.Quantizer(float_model)
    linear = qtyping.TFLOperationName.FULLY_CONNECTED
    lookup = qtyping.TFLOperationName.EMBEDDING_LOOKUP
    if precision == "fp16":
        half = qtyping.OpQuantizationConfig(
            weight_tensor_config=qtyping.TensorQuantizationConfig(
                num_bits=16, dtype=qtyping.TensorDataType.FLOAT
            ),
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        )
        casting = quantizer.AlgorithmName.FLOAT_CASTING
        for operator in (linear, lookup):
            worker.update_quantization_recipe(".*", operator, half, casting)
    else:
        for operator, stored in ((linear, _INTEGER_LAYERS[precision]), (lookup, _TABLES)):
            granularity = qtyping.QuantGranularity(stored.granularity)
            worker.add_dynamic_config(".*", operator, stored.bits, granularity)
        if precision == "mixed":  # a later pattern counts more
            blocks = qtyping.QuantGranularity(_BLOCKS.granularity)
            for scope in scopes(tflite_file.parse(float_model), int4 or ()):
                for operator in (linear, lookup):
                    worker.add_dynamic_config(scope, operator, _BLOCKS.bits, blocks)
    try:
        result = worker.quantize(enable_progress_bar=False, enable_progress_report=False)
    except ValueError as error:
        if "divisible by block size" not in str(error):
            raise
        raise ConversionError(
            f"{precision} needs hidden and feed-forward sizes that are multiples of 32: choose int8"
        ) from error
    return bytes(result.quantized_model)
