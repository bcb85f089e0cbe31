# SPDX-License-Identifier: Apache-2.0
"""The oldest runtime that computes a .tflite file right, from its operators and its tensor types.

An operator's version says which runtimes know it, but our quantizer leaves the version of the float
operator on integer layers: an old runtime then opens the file and computes something else. So the
types are looked at as well, by the rules of the converter of TensorFlow:
https://github.com/google-ai-edge/LiteRT/blob/main/tflite/tools/versioning/op_version.cc and the
releases in runtime_version.cc beside it. What those rules do not cover was measured (`MEASURED`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from converters import ConversionError
from converters.tflite.file import code_name, scales

# The release of TensorFlow Lite that brought each version of an operator: of a Transformer encoder,
# and of what exporters write around one. Version 1 comes first.
_RELEASES: dict[str, tuple[str, ...]] = {
    "ABS": ("1.13.0", "2.4.0", "2.5.0", "2.6.0", "2.12.0"),
    "ADD": ("1.5.0", "1.14.0", "2.4.0", "2.6.0", "2.13.0"),
    "BATCH_MATMUL": ("2.3.0", "2.3.0", "2.4.0", "2.5.0"),
    "BROADCAST_TO": ("2.5.0", "2.5.0", "2.5.0"),
    "CAST": ("1.5.0", "2.7.0", "2.8.0", "2.9.0", "2.12.0", "2.15.0", "2.17.0"),
    "CONCATENATION": ("1.5.0", "1.14.0", "2.3.0", "2.14.0"),
    "CUMSUM": ("2.4.0",),
    "DEQUANTIZE": ("1.13.1", "1.14.0", "1.15.0", "2.2.0", "2.7.0", "2.18.0"),
    "DIV": ("1.6.0", "2.3.0"),
    "EMBEDDING_LOOKUP": ("1.13.0", "1.14.0", "1.14.0", "2.18.0"),
    "EQUAL": ("1.14.0", "1.14.0", "2.3.0", "2.13.0"),
    "EXP": ("1.7.0", "2.12.0"),
    "EXPAND_DIMS": ("1.10.0",),
    "FULLY_CONNECTED": (
        *("1.5.0", "1.10.0", "1.14.0", "1.14.0", "2.0.0", "2.1.0", "2.3.0", "2.3.0", "2.3.0"),
        *("2.11.0", "2.15.0", "2.17.0", "2.18.0"),
    ),
    "GATHER": ("1.6.0", "1.14.0", "1.15.0", "2.4.0", "2.5.0", "2.13.0", "2.15.0"),
    "GATHER_ND": ("1.14.0", "2.3.0", "2.5.0", "2.13.0", "2.16.0"),
    "GELU": ("2.9.0", "2.9.0"),
    "GREATER": ("1.14.0", "1.14.0"),
    "GREATER_EQUAL": ("1.14.0", "1.14.0", "2.13.0"),
    "LESS": ("1.14.0", "1.14.0", "2.13.0"),
    "LESS_EQUAL": ("1.14.0", "1.14.0"),
    "LOGICAL_AND": ("1.11.0",),
    "LOGICAL_NOT": ("1.11.0",),
    "LOGISTIC": ("1.14.0", "1.14.0", "2.3.0"),
    "MAXIMUM": ("1.14.0", "1.14.0", "2.3.0", "2.3.0"),
    "MEAN": ("1.6.0", "1.14.0", "2.4.0"),
    "MINIMUM": ("1.14.0", "1.14.0", "2.3.0", "2.3.0"),
    "MUL": ("1.5.0", "1.14.0", "1.15.0", "2.3.0", "2.6.0", "2.11.0", "2.13.0"),
    "NEG": ("1.9.0",),
    "NOT_EQUAL": ("1.14.0", "1.14.0", "2.3.0"),
    "PACK": ("1.11.0", "1.14.0", "2.3.0", "2.13.0"),
    "PAD": ("1.5.0", "1.14.0", "2.4.0", "2.6.0"),
    "POW": ("1.10.0",),
    "QUANTIZE": ("1.14.0", "1.15.0", "2.7.0"),
    "RELU": ("1.5.0", "2.1.0", "2.5.0"),
    "RESHAPE": ("1.5.0",),
    "RSQRT": ("1.10.0", "2.5.0", "2.15.0"),
    "SELECT": ("1.14.0", "1.14.0", "2.12.0", "2.12.0"),
    "SELECT_V2": ("2.2.0", "2.12.0"),
    "SHAPE": ("1.10.0",),
    "SLICE": ("1.14.0", "1.14.0", "1.14.0", "2.4.0", "2.5.0", "2.14.0"),
    "SOFTMAX": ("1.5.0", "1.14.0", "2.3.0"),
    "SPLIT": ("1.5.0", "1.14.0", "1.14.0", "2.3.0"),
    "SQRT": ("1.10.0",),
    "SQUARE": ("1.12.0",),
    "SQUARED_DIFFERENCE": ("1.13.1", "2.5.0"),
    "SQUEEZE": ("1.6.0", "2.5.0"),
    "STRIDED_SLICE": (
        *("1.6.0", "1.14.0", "2.1.0", "2.2.0", "2.5.0", "2.6.0", "2.14.0", "2.14.0"),
    ),
    "SUB": ("1.6.0", "1.14.0", "2.3.0", "2.4.0", "2.4.0"),
    "SUM": ("1.10.0", "1.15.0"),
    "TANH": ("1.14.0", "1.14.0", "2.3.0"),
    "TRANSPOSE": ("1.6.0", "1.14.0", "1.15.0", "2.3.0", "2.4.0", "2.12.0", "2.14.4"),
}

# LiteRT counts its own releases; its first took over from TensorFlow Lite 2.17.
_FIRST_LITERT = "1.0.1"

BLOCKWISE = "blockwise int4 weights"
CHANNELWISE = "int8 layers with a scale an output channel"
ROWWISE = "a table with a scale a row"

_TYPE = schema.TensorType


@dataclass(frozen=True)
class Requirement:
    """A runtime that a file needs, and why.

    Attributes:
        tensorflow: oldest release of TensorFlow Lite, as "2.17.0".
        litert: oldest release of LiteRT.
        reason: what in the file needs them.
    """

    tensorflow: str
    litert: str
    reason: str


@dataclass(frozen=True)
class Fault:
    """What a runtime was seen to do to a file that it opens; it reports no error itself."""

    runtime: str
    fault: str


# Measured with converters.compat and, for releases that it does not install, in the same way.
MEASURED: dict[str, tuple[Fault, ...]] = {
    CHANNELWISE: (
        Fault("TensorFlow Lite 2.16.1 on arm64", "garbage, logits of 1,600"),
        Fault("TensorFlow Lite 2.8 to 2.14 on x86-64", "wrong, logits off by half their range"),
        Fault("TensorFlow Lite 2.16.2 on x86-64", "right, but seven times slower than LiteRT"),
    ),
    ROWWISE: (Fault("TensorFlow Lite 2.16.2", "every row of the table is read as zeros"),),
    BLOCKWISE: (
        Fault("TensorFlow Lite 2.14 and 2.16.2, LiteRT 1.0.1", "the process crashes"),
        Fault("LiteRT 1.2.0 to 2.0.3", "wrong, logits off by half their range"),
    ),
}

# Tables in blocks were looked up right by LiteRT 2.1.0 and 2.3.0, to the last bit (measured).
# No version of an operator announces blocks. This one is younger than every runtime that crashes on
# them but LiteRT 1.0.1, so those say that they lack it instead.
_BLOCKWISE_VERSION = 13
_BLOCKWISE_RUNTIMES = ("2.21.0", "2.1.0")


def requirements(model: Any) -> list[Requirement]:
    """What a model needs of its runtime, the most demanding first.

    Args:
        model: a `ModelT`; it is not changed.

    Raises:
        ConversionError: an operator or a version that the table lacks.
    """
    found: dict[Requirement, None] = {}
    for code, version, features in _uses(model):
        name = code_name(code)
        releases = _RELEASES.get(name, ())
        if code.customCode or not 1 <= version <= len(releases):
            raise ConversionError(
                f"operator {name} version {version} has no known runtime: add its release to "
                "converters/tflite/versions.py"
            )
        release = releases[version - 1]
        reason = f"{name} version {version}"
        runtimes = (release, _FIRST_LITERT)
        if BLOCKWISE in features:
            runtimes = _BLOCKWISE_RUNTIMES
        if features:
            reason = f"{', '.join(features)} ({reason})"
        found[Requirement(*runtimes, reason)] = None
    return sorted(found, key=lambda each: order(each.tensorflow), reverse=True)


def lowest_runtime(model: Any) -> Requirement:
    """The most demanding of `requirements`, which see."""
    return requirements(model)[0]


def known_faults(model: Any) -> list[Fault]:
    """What older runtimes were seen to do to such a model without reporting it."""
    features = dict.fromkeys(each for _, _, features in _uses(model) for each in features)
    return [fault for feature in features for fault in MEASURED[feature]]


def raise_versions(model: Any) -> None:
    """Give every operator code of a `ModelT` the version that the types of its tensors need.

    A runtime that would compute such an operator wrong then refuses the file ("Didn't find op for
    builtin opcode ..."); one that computes it right does the same as before.
    No version of a lookup is for blocks alone. Where a table has them, the layers get theirs.
    """
    uses = list(_uses(model))
    blocks = any(BLOCKWISE in features for _, _, features in uses)
    for code, version, _ in uses:
        guard = _BLOCKWISE_VERSION if blocks and code_name(code) == "FULLY_CONNECTED" else 1
        code.version = max(code.version, version, guard)


def order(release: str) -> tuple[int, ...]:
    """A release as numbers that sort: "2.17.0" -> (2, 17, 0)."""
    return tuple(int(part) for part in release.split("."))


def _uses(model: Any) -> Iterator[tuple[Any, int, list[str]]]:
    """Every operator: its code, the version it needs, and what `MEASURED` knows of it."""
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            inputs = [graph.tensors[index] for index in operator.inputs if index >= 0]
            needed, features = _needed(code_name(code), inputs, operator.builtinOptions)
            yield code, max(needed, code.version, 1), features


def _needed(name: str, inputs: list[Any], options: Any) -> tuple[int, list[str]]:
    """The version that the types ask for, where a Transformer encoder can meet the case."""
    types = [tensor.type for tensor in inputs]
    first, second = (*types, None, None)[:2]
    if name == "FULLY_CONNECTED":
        weight = inputs[1]
        if first == _TYPE.FLOAT32 and second == _TYPE.INT4:
            return _BLOCKWISE_VERSION, [BLOCKWISE] if _in_blocks(weight) else []
        if first == _TYPE.FLOAT32 and second == _TYPE.INT8 and scales(weight) > 1:
            return 12, [CHANNELWISE]
        if second == _TYPE.INT8 and options is not None and options.asymmetricQuantizeInputs:
            return 9, []
        if len(inputs) == 2:
            return 6, []
        if options is not None and options.keepNumDims:
            return 5, []
        return 3 if second == _TYPE.INT8 else 1, []
    if name == "EMBEDDING_LOOKUP":
        rows = scales(inputs[1]) > 1
        features = [BLOCKWISE] if _in_blocks(inputs[1]) else [ROWWISE] if rows else []
        return 4 if rows or second == _TYPE.INT4 else 1, features
    if name == "DEQUANTIZE":
        if first == _TYPE.INT8:
            return 5 if scales(inputs[0]) > 1 else 2, []
        return {_TYPE.INT4: 6, _TYPE.INT16: 3, _TYPE.FLOAT16: 3}.get(first, 1), []
    if name == "BROADCAST_TO":
        return 2, []
    if name in ("GATHER", "TRANSPOSE") and first == _TYPE.INT4:
        return 7, []
    if name == "TRANSPOSE" and inputs[0].shape is not None and len(inputs[0].shape) > 4:
        return 4 if len(inputs[0].shape) == 5 else 6, []
    return (2, []) if first == _TYPE.INT8 and len(_RELEASES.get(name, ())) > 1 else (1, [])


def _in_blocks(weight: Any) -> bool:
    """Whether blocks of a weight's values have a scale each."""
    kind = None if weight.quantization is None else weight.quantization.detailsType
    return bool(kind == schema.QuantizationDetails.BlockwiseQuantization)
