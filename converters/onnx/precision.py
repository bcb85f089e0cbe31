# SPDX-License-Identifier: Apache-2.0
"""A float ONNX graph to the precisions that ONNX Runtime runs, with standard operators only.

Written here rather than taken from `onnxruntime.quantization`, which quantizes the input of a layer
with one scale for all tokens, padding included: on a trained student that made the error of the
logits three times as large, and padding moved them as far again. It also leaves the position table
in float32, and gives the word table one scale for all columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from converters import ConversionError
from converters.interface import INPUTS

# What fp16 leaves in float32: both sum over many values. Their half forms are also what runtimes
# before 1.16 refuse at opset 18 (they expand them with attributes of an older opset).
_FLOAT_OPERATORS = ("LayerNormalization", "Softmax")

# 0 of the unsigned bytes that inputs are quantized to; x86 multiplies those by signed weights.
_ZERO = np.uint8(128)

# On x86 without VNNI, ONNX Runtime multiplies two neighboring bytes of an input by two of a weight
# and adds both products in 16 bits, where they saturate (the instruction VPMADDUBSW). Bytes of an
# input are 1 to 255, so that two weights of the same sign stay below 2**15 if they add up to at
# most 128: 255 * 128 = 32,640.
_LARGEST_PAIR = 128

# Constants of the int8 graph, by name.
_CONSTANTS: dict[str, NDArray[Any]] = {
    "zero": np.array(_ZERO),
    "one_127th": np.array(1 / 127, np.float32),
    # in place of a scale of 0, for a token whose input is 0 everywhere
    "smallest_scale": np.array(np.finfo(np.float32).tiny),
    "last_axis": np.array([-1], np.int64),
}

# Too small to matter for the size (a few outputs), and its rounding would go into the logits.
FLOAT_LAYERS = ("head.out.weight",)
_HEAD = "head."  # beginning of the names of a head's weights


def to_precision(model: ModelProto, precision: str) -> ModelProto:
    """A copy of a float32 model, with weights and operators of the given precision.

    Inputs stay integers and outputs float32.

    Args:
        model: linear layers as Gemm, tables read by Gather or Slice, as exported by `to_onnx`.
        precision: a key of `converters.precisions.ONNX`. In fp16 everything but sums over a row is
            computed in half precision. In int8, layers multiply integers: their inputs are
            quantized while running with one scale a token (dynamic range, no calibration data),
            their weights with one scale an output channel; tables have one scale a column. The
            products are exact in a default session of any x86: see `overflowing_layers`.

    Raises:
        ConversionError: a weight that fp16 cannot hold.
    """
    changed = ModelProto()
    changed.CopyFrom(model)
    if precision == "fp16":
        _halve(changed.graph)
    elif precision == "int8":
        _quantize(changed.graph)
    return changed


def _halve(graph: GraphProto) -> None:
    """Store and compute in float16, but for `_FLOAT_OPERATORS` and the outputs."""
    kept = {
        name for node in graph.node if node.op_type in _FLOAT_OPERATORS for name in node.input[1:]
    }
    for weight in graph.initializer:
        if weight.data_type == TensorProto.FLOAT and weight.name not in kept:
            with np.errstate(over="ignore"):
                half = numpy_helper.to_array(weight).astype(np.float16)
            if not np.isfinite(half).all():
                raise ConversionError(
                    f"weight {weight.name} has values beyond 65,504, the largest of fp16: "
                    "choose fp32 or int8"
                )
            weight.CopyFrom(numpy_helper.from_array(half, weight.name))
    outputs = {value.name for value in graph.output}
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.op_type == "Cast" and _attribute(node, "to") == TensorProto.FLOAT:
            node.attribute[0].i = TensorProto.FLOAT16
        if node.op_type in _FLOAT_OPERATORS:
            source, result = node.input[0], node.output[0]
            node.input[0], node.output[0] = f"{source}_float", f"{result}_float"
            nodes.append(_cast(source, node.input[0], TensorProto.FLOAT))
            nodes.append(node)
            nodes.append(_cast(node.output[0], result, TensorProto.FLOAT16))
            continue
        nodes.append(node)
        for place, name in enumerate(node.output):
            if name in outputs:
                node.output[place] = f"{name}_half"
                nodes.append(_cast(node.output[place], name, TensorProto.FLOAT))
    _replace(graph, nodes)


def _quantize(graph: GraphProto) -> None:
    """Turn layers into integer products, and tables into integers that are scaled when read."""
    weights = {
        weight.name: weight
        for weight in graph.initializer
        if weight.data_type == TensorProto.FLOAT and len(weight.dims) == 2
    }
    for name, value in _CONSTANTS.items():
        graph.initializer.append(numpy_helper.from_array(value, name))
    zero = numpy_helper.from_array(_CONSTANTS["zero"].reshape(1))
    nodes = [  # the zero point of every token, (B, S) -> (B*S,)
        helper.make_node("Shape", [INPUTS[0]], ["batch_and_length"]),
        helper.make_node("ReduceProd", ["batch_and_length"], ["tokens"], keepdims=1),
        helper.make_node("ConstantOfShape", ["tokens"], ["zeros"], value=zero),
    ]
    quantized: set[str] = set()  # inputs of layers: one that several read is quantized once
    for node in graph.node:
        if node.op_type == "Gemm" and node.input[1] not in FLOAT_LAYERS:
            source, weight = node.input[0], weights[node.input[1]]
            # (out, in), a scale an output
            channels = _to_int8(graph, weight, axis=1, largest_pair=_LARGEST_PAIR)
            columns = np.ascontiguousarray(channels.T)  # (out, in) -> (in, out)
            weight.CopyFrom(numpy_helper.from_array(columns, weight.name))
            if source not in quantized:
                nodes.extend(_quantized_tokens(source, of_rows=weight.name.startswith(_HEAD)))
                quantized.add(source)
            nodes.extend(_integer_layer(node))
        elif node.op_type in ("Gather", "Slice") and node.input[0] in weights:
            table, result = weights[node.input[0]], node.output[0]
            rows = _to_int8(graph, table, axis=0)  # (rows, D), a scale a column
            table.CopyFrom(numpy_helper.from_array(rows, table.name))
            node.output[0] = f"{result}_int8"
            nodes.append(node)
            scaled = [node.output[0], f"{table.name}_scale"]
            nodes.append(helper.make_node("DequantizeLinear", scaled, [result], axis=-1))
        else:
            nodes.append(node)
    _replace(graph, nodes)


def _quantized_tokens(source: str, *, of_rows: bool) -> Iterator[NodeProto]:
    """Quantize an input (T, D) of layers to unsigned bytes, symmetrically, with a scale a token.

    T is the number of tokens, or, where a head reads one state of each row, that of rows.
    """

    def node(kind: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
        names = [name.replace("*", source) for name in inputs.split()]
        return helper.make_node(kind, names, [output.replace("*", source)], **attributes)

    yield node("Abs", "*", "*_abs")
    yield node("ReduceMax", "*_abs last_axis", "*_reach", keepdims=0)  # (T, D) -> (T,)
    yield node("Mul", "*_reach one_127th", "*_fitting_scale")
    yield node("Max", "*_fitting_scale smallest_scale", "*_scale")
    zeros = "zeros"  # a zero point for every token
    if of_rows:
        zeros = "*_zeros"
        value = numpy_helper.from_array(_CONSTANTS["zero"].reshape(1))
        yield node("Shape", "*_scale", "*_rows")
        yield node("ConstantOfShape", "*_rows", zeros, value=value)
    yield node("QuantizeLinear", f"* *_scale {zeros}", "*_uint8", axis=0)
    yield node("ReduceMax", "*_scale last_axis", "*_largest_scale", keepdims=0)  # (T,) -> ()
    yield node("Div", "*_scale *_largest_scale", "*_shares")
    yield node("Unsqueeze", "*_shares last_axis", "*_share")  # (T,) -> (T, 1)


def _integer_layer(layer: NodeProto) -> Iterator[NodeProto]:
    """A Gemm on quantized operands.

    The first four operators are what ONNX Runtime merges into one that writes no integers out. It
    takes any scale of the input for a scalar: that is the largest, of which each token has a share.
    """
    (source, weight, *bias), (result,) = layer.input, layer.output  # a bias of zeros is left out

    def node(kind: str, inputs: list[str], output: str) -> NodeProto:
        return helper.make_node(kind, inputs, [output])

    yield node("MatMulInteger", [f"{source}_uint8", weight, "zero"], f"{result}_int32")
    yield _cast(f"{result}_int32", f"{result}_float", TensorProto.FLOAT)
    yield node("Mul", [f"{source}_largest_scale", f"{weight}_scale"], f"{result}_scale")
    yield node("Mul", [f"{result}_float", f"{result}_scale"], f"{result}_product")
    scaled = f"{result}_scaled" if bias else result
    yield node("Mul", [f"{result}_product", f"{source}_share"], scaled)
    if bias:
        yield node("Add", [scaled, *bias], result)


def _to_int8(
    graph: GraphProto, weight: TensorProto, axis: int, largest_pair: int | None = None
) -> NDArray[np.int8]:
    """Round a weight to int8, symmetrically; its scales, over `axis`, go into the graph.

    With `largest_pair`, the scales are large enough that no two neighbors along `axis`, the last,
    add up to more.
    """
    values = numpy_helper.to_array(weight)
    scale = np.abs(values).max(axis=axis, keepdims=True) / 127
    if largest_pair is not None:
        pairs = _pair_sums(values).max(axis=axis, keepdims=True)
        # Where the sum of two values fits exactly, float32 may still round both of them up.
        scale = np.maximum(scale, pairs / largest_pair * (1 + 1e-6))
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    graph.initializer.append(numpy_helper.from_array(scale.ravel(), f"{weight.name}_scale"))
    rounded: NDArray[np.int8] = np.rint(values / scale).clip(-127, 127).astype(np.int8)
    return rounded


def _pair_sums(rows: NDArray[Any]) -> NDArray[Any]:
    """The larger of what the positive and the negative of two neighbors sum up to.

    Neighbors are the inputs 0 and 1, 2 and 3, and so on of one output, as ONNX Runtime packs them.

    Args:
        rows: weights (out, in).

    Returns:
        Sums of absolute values (out, in / 2, rounded up).
    """
    rows = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2)))
    pairs = rows.reshape(len(rows), -1, 2)  # (out, in) -> (out, in / 2, 2)
    positive, negative = (np.maximum(sign * pairs, 0).sum(axis=-1) for sign in (1, -1))
    larger: NDArray[Any] = np.maximum(positive, negative)
    return larger


def overflowing_layers(graph: GraphProto) -> list[str]:
    """Names of weights whose integer products saturate in a default session on x86 without VNNI.

    Such a file gives other logits on one processor than on the next. None of ours has one; those
    of `onnxruntime.quantization` do, unless `reduce_range` is set.
    """
    weights = {weight.name: weight for weight in graph.initializer}
    names = dict.fromkeys(node.input[1] for node in graph.node if node.op_type == "MatMulInteger")
    return [
        name
        for name in names
        if name in weights
        # (in, out) -> (out, in); 127 + 127 is beyond int8
        and _pair_sums(numpy_helper.to_array(weights[name]).T.astype(np.int32)).max()
        > _LARGEST_PAIR
    ]


def _cast(source: str, result: str, dtype: int) -> NodeProto:
    return helper.make_node("Cast", [source], [result], to=dtype)


def _attribute(node: NodeProto, name: str) -> Any:
    return next(helper.get_attribute_value(each) for each in node.attribute if each.name == name)


def _replace(graph: GraphProto, nodes: list[NodeProto]) -> None:
    kept = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)
