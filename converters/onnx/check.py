# SPDX-License-Identifier: Apache-2.0
"""Says what would keep an .onnx file from running right in plain ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx

from converters import reader
from converters.interface import INPUTS, INTERFACES, interface_of
from converters.onnx.file import (
    CONTRIB_DOMAIN,
    CONTRIB_RUNTIMES,
    METADATA_KEYS,
    SMALLEST_WEIGHT_BYTES,
    STANDARD_DOMAINS,
    constants_of,
    content,
    describe,
    nodes_of,
    read,
)
from converters.onnx.precision import FLOAT_LAYERS, overflowing_layers

# A float32 matrix above this share of a quantized file has been forgotten, unless it is meant to
# stay: a head for hundreds of classes is as large as this.
LARGEST_FLOAT_SHARE = 0.01


@reader
def check_portable(path: str | Path) -> list[str]:
    """Say what would keep a file from running right, at any size, in plain ONNX Runtime.

    Returns:
        One line for each problem; empty when there is none. See `read` for errors.
    """
    return list(_problems(Path(path)))


def _problems(path: Path) -> Iterator[str]:
    model, summary = read(path), describe(path)
    graph = model.graph

    for use in summary.operators:
        if use.domain not in (*STANDARD_DOMAINS, CONTRIB_DOMAIN):
            yield f"operator {use.domain}.{use.name} is custom: plain ONNX Runtime lacks it"
        elif use.domain == CONTRIB_DOMAIN and use.name not in CONTRIB_RUNTIMES:
            yield f"operator {use.domain}.{use.name} is not known: not every ONNX Runtime has it"
    if all(weight.inside for weight in summary.weights):
        try:
            onnx.checker.check_model(model, full_check=True)
        except Exception as error:  # the checker's and shape inference's errors share no type
            yield f"not valid ONNX: {' '.join(str(error).split())}"

    outputs = tuple(tensor.name for tensor in summary.outputs)
    interface = interface_of(outputs) or INTERFACES[0]
    axes = {output.name: output.axis for output in interface.outputs}
    for side, expected, dtype in (
        (summary.inputs, INPUTS, "int32"),
        (summary.outputs, interface.names, "float32"),
    ):
        if (names := tuple(tensor.name for tensor in side)) != expected:
            yield f"tensors are named {names}, not {expected}"
        for tensor in side:
            if tensor.dtype != dtype:
                yield f"{tensor.name} is {tensor.dtype}, not {dtype}"
            if axes.get(tensor.name) == "class":
                if len(tensor.dims) != 2 or isinstance(tensor.dims[0], int):
                    yield f"{tensor.name} has dims {tensor.dims}: the batch must be open"
            elif len(tensor.dims) != 2 or any(isinstance(dim, int) for dim in tensor.dims):
                yield f"{tensor.name} has dims {tensor.dims}: both, batch and length, must be open"
    constants = dict(constants_of(graph))
    for node in graph.node:
        if node.op_type == "Reshape" and node.input[1] in constants:
            dims = onnx.numpy_helper.to_array(constants[node.input[1]])
            if (dims > 0).all():
                yield f"reshape to {dims.tolist()} at {node.output[0]} fixes batch and length"

    for name in overflowing_layers(graph):
        yield f"weight {name} is so large that its products saturate on x86 without VNNI"

    used = {name for node in nodes_of(graph) for name in node.input}
    used |= {value.name for value in graph.output}
    stored = sum(weight.bytes for weight in summary.weights)
    narrow = any(weight.dtype in ("int8", "uint8", "float16") for weight in summary.weights)
    first_with: dict[object, str] = {}
    for weight in summary.weights:
        if not weight.inside:
            yield f"weight {weight.name} lies outside of the file, which cannot be moved alone"
            continue
        if weight.bytes < SMALLEST_WEIGHT_BYTES:
            continue
        twin = first_with.setdefault(content(constants[weight.name]), weight.name)
        if twin != weight.name:
            yield f"weight {weight.name} is stored again: it equals {twin}"
        if weight.name not in used:
            yield f"weight {weight.name} is read by no operator"
        matrix = len(weight.shape) == 2 and weight.bytes > LARGEST_FLOAT_SHARE * stored
        forgotten = matrix and weight.dtype == "float32" and weight.name not in FLOAT_LAYERS
        if narrow and forgotten:
            yield f"weight {weight.name} {weight.shape} is still float32 in a quantized file"

    if missing := [key for key in METADATA_KEYS if key not in summary.metadata]:
        yield f"metadata lacks {', '.join(missing)}"
        return
    stated = [summary.metadata[key] for key in METADATA_KEYS[1:4]]
    true = [str(each) for each in (summary.opsets[""], summary.ir_version, summary.lowest_runtime)]
    if stated != true:
        yield f"metadata says {', '.join(METADATA_KEYS[1:4])} = {stated}, not {true}"
