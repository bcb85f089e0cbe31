# SPDX-License-Identifier: Apache-2.0
"""Linear layers whose outputs are scaled after the product, for files with one scale a weight.

Some channels of a trained layer reach ten times as far as others, and with one scale for the whole
weight those take the bits of the rest: on a trained student every fourth answer changed. Dividing
each row by its largest value and multiplying the layer's output by it again gives each channel its
own scale in operators that every runtime has.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters.tflite import file as tflite_file


def scale_outputs(float_model: bytes) -> bytes:
    """Replace each linear layer x W + b of a float .tflite by (x W/s) s + b.

    Args:
        float_model: bytes of a float32 file; s is the largest value of each row of W.

    Returns:
        Bytes of a file that computes the same, up to the rounding of float32.
    """
    model = tflite_file.parse(float_model, "the float model")
    multiply, add = (
        _operator_code(model, code)
        for code in (schema.BuiltinOperator.MUL, schema.BuiltinOperator.ADD)
    )
    reaches: dict[int, NDArray[np.float32]] = {}  # of the buffers that were divided
    for graph in model.subgraphs:
        operators = []
        for layer in graph.operators:
            operators.append(layer)
            if tflite_file.operator_name(model, layer) != "FULLY_CONNECTED":
                continue
            result, bias = layer.outputs[0], _bias(layer)
            weight = graph.tensors[layer.inputs[1]]
            if len(tflite_file.dims(weight.shape)) != 2 or weight.shape[0] == 1:
                continue  # one channel has one scale
            if weight.buffer not in reaches:
                # A buffer of its own: whatever has equal bytes shares the one that it had.
                rows = model.buffers[weight.buffer].data.view(np.float32).reshape(weight.shape)
                weight.buffer = len(model.buffers)
                reaches[weight.buffer] = _append_divided(model, rows)
            reach = reaches[weight.buffer]
            activation = layer.builtinOptions.fusedActivationFunction
            layer.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE
            scale = _constant(model, graph, reach, weight.name + b"_scale")
            last = operators[-1]
            for code, options, operand in (
                (multiply, schema.MulOptionsT(), scale),
                (add, schema.AddOptionsT(), bias),
            ):
                if operand < 0:
                    continue
                between = _like(graph, result, b"_product" if last is layer else b"_scaled")
                last.outputs = np.array([between], np.int32)
                last = _binary(code, options, between, operand, result)
                operators.append(last)
            last.builtinOptions.fusedActivationFunction = activation
            layer.inputs = np.array([*layer.inputs[:2], -1], np.int32)
        graph.operators = operators
    return tflite_file.serialize(model)


def _append_divided(model: Any, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Adds a buffer of a matrix whose rows are divided by their largest values: these, (out,)."""
    reach: NDArray[np.float32] = np.abs(rows).max(1)
    reach[reach == 0] = 1
    buffer = schema.BufferT()
    buffer.data = (rows / reach[:, None]).ravel().view(np.uint8)
    model.buffers.append(buffer)
    return reach


def _bias(layer: Any) -> int:
    return int(layer.inputs[2]) if len(layer.inputs) > 2 else -1


def _operator_code(model: Any, builtin: int) -> int:
    """The index of an operator in a model's table of codes, where it is put if need be."""
    for index, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == builtin:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _constant(model: Any, graph: Any, values: NDArray[np.float32], name: bytes) -> int:
    buffer, tensor = schema.BufferT(), schema.TensorT()
    buffer.data = values.view(np.uint8)
    model.buffers.append(buffer)
    tensor.buffer, tensor.name = len(model.buffers) - 1, name
    tensor.shape, tensor.type = np.array(values.shape, np.int32), schema.TensorType.FLOAT32
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _like(graph: Any, index: int, suffix: bytes) -> int:
    """A tensor like another, without its content."""
    tensor = copy.copy(graph.tensors[index])
    tensor.name += suffix
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _binary(code: int, options: Any, one: int, other: int, result: int) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.builtinOptions = code, options
    kinds = {schema.MulOptionsT: "MulOptions", schema.AddOptionsT: "AddOptions"}
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, kinds[type(options)])
    operator.inputs = np.array([one, other], np.int32)
    operator.outputs = np.array([result], np.int32)
    return operator
