# SPDX-License-Identifier: Apache-2.0
"""Says what would keep a .tflite file from running right in plain runtimes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters import reader
from converters.interface import INPUTS, INTERFACES, Interface, signature_of
from converters.tflite.file import (
    SMALLEST_WEIGHT_BYTES,
    WEIGHT_ALIGNMENT,
    FileSummary,
    describe,
    dims,
    lookups,
    read,
    reshapes,
    scales,
    summary_of,
)


@reader
def check_portable(path: str | Path) -> list[str]:
    """Say what would keep a file from running right in plain runtimes.

    A file has one of two forms: its interface's signature that runs at any length; or one for each
    of a few lengths, named by `signature_of`, on weights that they share.

    Returns:
        One line for each problem; empty when there is none. See `parse` for errors.
    """
    return list(dict.fromkeys(_problems(Path(path))))  # a weight may be in every graph


def _problems(path: Path) -> Iterator[str]:
    model, summary = read(path), describe(path)
    for name in summary.custom_operators:
        yield f"operator {name} is not builtin: a plain runtime lacks it"
    interface = _interface(summary)
    yield from _signature_problems(model, summary, interface)
    for graph in model.subgraphs:
        yield from _table_problems(model, graph)
    yield from _buffer_problems(model, path.read_bytes())


def _interface(summary: FileSummary) -> Interface:
    """The interface that the names of a file's signatures announce, or the first."""
    return next((one for one in INTERFACES if one.signature in summary.signatures), INTERFACES[0])


def _signature_problems(model: Any, summary: FileSummary, interface: Interface) -> Iterator[str]:
    """What differs from the form that the names of the signatures announce."""
    others = (length for name, length in summary.lengths.items() if name != interface.signature)
    fixed = sorted(filter(None, others), reverse=True)
    lengths: list[int | None] = [*fixed] or [None]  # of each graph
    expected = {interface.signature: lengths[0]} | {
        signature_of(length): length for length in fixed
    }
    if summary.signatures != dict.fromkeys(expected, (INPUTS, interface.names)):
        yield (
            f"signatures are {summary.signatures}, not {', '.join(map(repr, expected))}: "
            f"{INPUTS} -> {interface.names}"
        )
    elif fixed and summary.lengths != expected:
        yield f"signatures take the lengths {summary.lengths}, not {expected}"
    if len(model.subgraphs) != len(lengths):
        yield f"{len(model.subgraphs)} graphs: some runtimes run only the first"
    for graph, length in zip(model.subgraphs, lengths, strict=False):
        yield from _interface_problems(graph, interface, length)
        for operator, shape in reshapes(model, graph):
            result = graph.tensors[operator.outputs[0]]
            where = f"reshape to {shape.tolist()} at {result.name.decode()}"
            if length is None and -1 not in shape:
                yield f"{where} fixes the sequence length"
            if length is not None and dims(shape) != dims(result.shape):
                yield f"{where} should say {list(dims(result.shape))}: the length is fixed"


def _interface_problems(graph: Any, interface: Interface, length: int | None) -> Iterator[str]:
    """Inputs and outputs of a graph that are not those of this package; None takes any length."""
    classes = {output.name for output in interface.outputs if output.axis == "class"}
    for indices, names, dtype in (
        (graph.inputs, INPUTS, "int32"),
        (graph.outputs, interface.names, "float32"),
    ):
        tensors = [summary_of(graph.tensors[index]) for index in indices]
        if (found := tuple(tensor.name for tensor in tensors)) != names:
            yield f"tensors are named {found}, not {names}"
        for tensor in tensors:
            if tensor.dtype != dtype:
                yield f"{tensor.name} is {tensor.dtype}, not {dtype}"
            if tensor.name in classes:
                if len(tensor.shape) != 2 or -1 in tensor.shape_signature:
                    yield f"{tensor.name} has shape {tensor.shape}, not (1, number of classes)"
                continue
            resizing = (1, -1) if length is None else ()
            if length is not None and tensor.shape != (1, length):
                yield f"{tensor.name} has shape {tensor.shape}, not {(1, length)}"
            if tensor.shape_signature != resizing:
                yield f"{tensor.name} has shape signature {tensor.shape_signature}, not {resizing}"


def _table_problems(model: Any, graph: Any) -> Iterator[str]:
    """Embedding tables that take too much room, or that some runtimes misread."""
    small = (schema.TensorType.INT8, schema.TensorType.INT4, schema.TensorType.FLOAT16)
    quantized = any(
        tensor.type in small and model.buffers[tensor.buffer].data is not None
        for tensor in graph.tensors
    )
    for _, table in lookups(model, graph):
        name = table.name.decode()
        if quantized and table.type == schema.TensorType.FLOAT32:
            yield f"embedding table {name} is still float32 in a quantized file"
        if (count := scales(table)) > 1:
            yield f"embedding table {name} has {count} scales: older runtimes read it as zeros"


def _buffer_problems(model: Any, data: bytes) -> Iterator[str]:
    """Weights of the file `data` that are stored twice, or where some runtimes miss them."""
    first_with: dict[bytes, int] = {}
    owners = {
        tensor.buffer: tensor.name.decode() for graph in model.subgraphs for tensor in graph.tensors
    }
    address = np.frombuffer(data, np.uint8).ctypes.data
    packed = schema.Model.GetRootAs(data, 0)
    for index, buffer in enumerate(model.buffers):
        if buffer.data is None or index not in owners or len(buffer.data) < SMALLEST_WEIGHT_BYTES:
            continue
        twin = first_with.setdefault(bytes(buffer.data), index)
        if twin != index:
            yield f"weight {owners[index]} is stored again: it equals {owners[twin]}"
        if packed.Buffers(index).Offset() > 1:
            yield f"weight {owners[index]} lies behind the flatbuffer: older runtimes lose it"
        else:
            vector = packed.Buffers(index).DataAsNumpy()
            if (vector.ctypes.data - address) % WEIGHT_ALIGNMENT:
                yield f"weight {owners[index]} is not aligned to {WEIGHT_ALIGNMENT} bytes"
