# SPDX-License-Identifier: Apache-2.0
"""The lengths that a .tflite model takes: every one in one graph, or a few in a graph each.

A converter's output knows the one length that it was traced at. `make_resizable` frees it; a
runtime may then resize the graph to any length. Accelerators (GPU and NPU delegates) want shapes
that stay: `fix_lengths` copies the graph once for each length, on the same weights.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from converters import ConversionError
from converters.interface import INPUTS, Interface, signature_of
from converters.tflite import file as tflite_file


def name_interface(model: Any, interface: Interface) -> None:
    """Give the only signature, its tensors and the embedding tables the names of this package.

    Inputs must already carry their names in the signature; outputs are named in the order of
    their present names, which for a traced tuple (output_0, output_1) is the order of the tuple.
    """
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    signature.signatureKey = interface.signature.encode()
    signature.inputs.sort(key=lambda entry: INPUTS.index(entry.name.decode()))
    signature.outputs.sort(key=lambda entry: entry.name)
    for names, entries in ((INPUTS, signature.inputs), (interface.names, signature.outputs)):
        for name, entry in zip(names, entries, strict=True):
            entry.name = graph.tensors[entry.tensorIndex].name = name.encode()
    graph.inputs = [entry.tensorIndex for entry in signature.inputs]
    graph.outputs = [entry.tensorIndex for entry in signature.outputs]

    producers = {out: op for op in graph.operators for out in op.outputs}
    for index, table in tflite_file.lookups(model, graph):
        while index in producers and tflite_file.operator_name(model, producers[index]) != "CUMSUM":
            index = producers[index].inputs[0]
        source = graph.tensors[index].name.decode()
        names_by_source = {INPUTS[0]: tflite_file.WORD_TABLE, INPUTS[2]: tflite_file.SEGMENT_TABLE}
        table.name = names_by_source.get(source, tflite_file.POSITION_TABLE).encode()


def make_resizable(model: Any, traced_length: int, default_length: int) -> None:
    """Let every sequence dimension of a graph traced at `traced_length` follow the input.

    A RESHAPE constant gets -1 in place of the sequence dimension, inputs and outputs get a shape
    signature, and the shapes in the file become those at `default_length`.

    Args:
        model: the `ModelT` to change; no dimension of its own may be a multiple of
            `traced_length`, so that every multiple is known to be a sequence dimension.
        traced_length: S while tracing.
        default_length: S that a runtime starts with.

    Raises:
        ConversionError: something other than a RESHAPE fixes the length, or one reshape holds it
            twice.
    """
    graph = model.subgraphs[0]
    operands = [
        (index, place == 1 and tflite_file.operator_name(model, op) == "RESHAPE")
        for op in graph.operators
        for place, index in enumerate(op.inputs)
    ]
    shapes = {index for index, is_shape in operands if is_shape}
    shapes -= {index for index, is_shape in operands if not is_shape}
    for index, tensor in enumerate(graph.tensors):
        name, data = tensor.name.decode(), model.buffers[tensor.buffer].data
        dims = tflite_file.dims(tensor.shape)
        if data is None:
            tensor.shape = [
                dim // traced_length * default_length if dim % traced_length == 0 else dim
                for dim in dims
            ]
            if index in (*graph.inputs, *graph.outputs):
                tensor.shapeSignature = [-1 if dim % traced_length == 0 else dim for dim in dims]
            continue
        if any(dim % traced_length == 0 for dim in dims):
            raise ConversionError(
                f"constant {name} {dims} was folded at length {traced_length}: compute it in the "
                "graph from the input"
            )
        if tensor.type != schema.TensorType.INT32:
            continue
        values = data.view(np.int32)
        hits = np.flatnonzero((values != 0) & (values % traced_length == 0))
        if len(hits) == 0:
            continue
        if len(hits) > 1 or index not in shapes:
            raise ConversionError(
                f"constant {name} = {values.tolist()} fixes the length {traced_length}: only a "
                "reshape may, once; keep attention at rank 3 and avoid slices"
            )
        resizable = values.copy()
        resizable[hits] = -1
        model.buffers[tensor.buffer].data = resizable.view(np.uint8)
    for operator, shape in tflite_file.reshapes(model, graph):
        if operator.builtinOptions is not None:
            operator.builtinOptions.newShape = shape.copy()


def fix_lengths(resizable: bytes, lengths: Iterable[int]) -> Any:
    """Give a resizable model a signature of fixed shapes for each of a few lengths.

    Every graph keeps the weights and their scales, which a file stores once (see
    `tflite_file.serialize`). The first graph, which is all that some runtimes run, has the longest
    length and also keeps the name of the only signature of `resizable`.

    Args:
        resizable: bytes of a .tflite file whose only signature resizes, in any precision.
        lengths: each S, at least 1 and at most the number of positions; in any order.

    Returns:
        A `ModelT` with the signature of `resizable` and `signature_of(length)` for each length.
    """
    model = tflite_file.parse(resizable, "the resizable model")
    (graph,), (answer,) = model.subgraphs, model.signatureDefs
    model.subgraphs = []
    for length, shapes in _shapes(resizable, sorted(set(lengths), reverse=True)).items():
        signature, fixed = copy.deepcopy(answer), copy.deepcopy(graph)
        signature.signatureKey = fixed.name = signature_of(length).encode()
        signature.subgraphIndex = len(model.subgraphs)
        model.signatureDefs.append(signature)
        model.subgraphs.append(fixed)
        for index, tensor in enumerate(fixed.tensors):
            tensor.shapeSignature = None
            if model.buffers[tensor.buffer].data is None:
                tensor.shape = shapes[index]
        for operator, _ in tflite_file.reshapes(model, fixed):
            result, constant = fixed.tensors[operator.outputs[0]], fixed.tensors[operator.inputs[1]]
            model.buffers.append(schema.BufferT())
            model.buffers[-1].data = result.shape.view(np.uint8)
            constant.buffer = len(model.buffers) - 1
            if operator.builtinOptions is not None:
                operator.builtinOptions.newShape = result.shape
    return model


def _shapes(resizable: bytes, lengths: Iterable[int]) -> dict[int, dict[int, NDArray[np.int32]]]:
    """Length -> index of a tensor -> its shape, as the runtime itself infers it."""
    # A delegate would hide the tensors inside its part of the graph.
    interpreter = Interpreter(
        model_content=resizable,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    inputs = [tensor["index"] for tensor in interpreter.get_input_details()]
    found = {}
    for length in lengths:
        for index in inputs:
            interpreter.resize_tensor_input(index, [1, length], strict=True)
        interpreter.allocate_tensors()
        found[length] = {
            tensor["index"]: tensor["shape"] for tensor in interpreter.get_tensor_details()
        }
    return found
