# SPDX-License-Identifier: Apache-2.0
"""Reads, rewrites and checks a .tflite file through the schema classes that ship with LiteRT.

Format: https://github.com/google-ai-edge/LiteRT (schema.fbs, file identifier TFL3). A model here is
the schema's mutable object tree (`ModelT`); `read` and `write` convert between it and a file.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters import INPUTS, OUTPUTS, SIGNATURE, ConversionError

FILE_IDENTIFIER = b"TFL3"

# The schema asks for it (force_align: 16); runtimes read weights with vector instructions in place.
WEIGHT_ALIGNMENT = 16

# Shorter constants (shapes, scalars) repeat by chance and cost nothing.
SMALLEST_WEIGHT_BYTES = 64

WORD_TABLE, POSITION_TABLE, SEGMENT_TABLE = (
    f"{kind}_embeddings" for kind in ("word", "position", "segment")
)

_OPERATOR_NAMES: dict[int, str] = {
    v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)
}
_TYPE_NAMES: dict[int, str] = {
    v: k.lower() for k, v in vars(schema.TensorType).items() if isinstance(v, int)
}


@dataclass(frozen=True)
class OperatorUse:
    """An operator, the version that a runtime must have, and how often it occurs."""

    name: str
    version: int
    count: int


@dataclass(frozen=True)
class TensorSummary:
    """A tensor of the graph: its dtype by name, its default shape, -1 where it resizes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    shape_signature: tuple[int, ...]


@dataclass(frozen=True)
class WeightSummary:
    """A constant: its stored bytes, its number of scales, and the buffer that holds it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    scales: int
    buffer: int


@dataclass(frozen=True)
class FileSummary:
    """What is inside a .tflite file.

    Attributes:
        bytes: size of the file.
        operators: builtin operators, by name and version.
        custom_operators: names of custom and flex operators, which a plain runtime lacks.
        signatures: name -> (names of inputs, names of outputs).
        inputs: tensors of the first graph, in its order; `outputs` likewise.
        weights: constants; two that share a buffer are stored once.
    """

    bytes: int
    operators: tuple[OperatorUse, ...]
    custom_operators: tuple[str, ...]
    signatures: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
    inputs: tuple[TensorSummary, ...]
    outputs: tuple[TensorSummary, ...]
    weights: tuple[WeightSummary, ...]


class _AlignedBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """Aligns byte vectors as the schema demands; the Python classes forget to."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:  # noqa: N802, N803
        if elemSize == 1:
            alignment = max(alignment, WEIGHT_ALIGNMENT)
        return super().StartVector(elemSize, numElems, alignment)  # type: ignore[no-any-return]


def parse(data: bytes, name: str = "model") -> Any:
    """Turn the bytes of a .tflite file into a `ModelT`, external buffers included.

    Raises:
        ConversionError: not a .tflite file, or one that ends early.
    """
    if data[4:8] != FILE_IDENTIFIER:
        raise ConversionError(
            f"{name} is not a .tflite file: {len(data)} bytes without the identifier TFL3; "
            "export it again"
        )
    whole = np.frombuffer(data, np.uint8)
    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
        for buffer in model.buffers:
            if buffer.offset > 1:  # 0: none; 1: reserved by the schema for "empty"
                end = buffer.offset + buffer.size
                if end > len(data):
                    raise ValueError(f"a buffer ends at byte {end}")
                buffer.data, buffer.offset, buffer.size = whole[buffer.offset : end], 0, 0
        return model if model.subgraphs else _damaged(name, len(data), "no graph")
    # The generated classes trust the file: damage shows as whatever error it happens to hit.
    except Exception as error:
        raise _damaged(name, len(data), error) from error


def _damaged(name: str, size: int, why: object) -> ConversionError:
    return ConversionError(f"{name} is damaged or cut off at {size} bytes ({why}); export it again")


def read(path: str | Path) -> Any:
    """Read a .tflite file into a `ModelT`; see `parse` for its errors."""
    try:
        return parse(Path(path).read_bytes(), str(path))
    except OSError as error:
        raise ConversionError(f"cannot read {path}: {error.strerror}; check the path") from error


def serialize(model: Any) -> bytes:
    """Turn a `ModelT` into the bytes of a file: every weight inside, aligned and stored once."""
    _share_equal_buffers(model)
    size = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    builder = _AlignedBuilder(size + 2**16)  # room for the rest, so that it need not grow
    builder.Finish(model.Pack(builder), file_identifier=FILE_IDENTIFIER)
    return bytes(builder.Output())


def write(model: Any, path: str | Path) -> Path:
    """Write a `ModelT` to `path`, whole or not at all, and return the path."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(serialize(model))
        temporary.replace(path)
    except OSError as error:
        raise ConversionError(f"cannot write {path}: {error.strerror}; free or fix it") from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _share_equal_buffers(model: Any) -> None:
    """Keep one buffer for each content that is used, and point everything at it."""
    kept = [schema.BufferT()]  # buffer 0 is the empty one, by the schema
    place: dict[bytes, int] = {b"": 0}

    def moved(index: int) -> int:
        data = model.buffers[index].data
        content = b"" if data is None else bytes(data)
        if content not in place:
            place[content] = len(kept)
            kept.append(model.buffers[index])
        return place[content]

    users = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    for user in [*users, *(model.metadata or [])]:
        user.buffer = moved(user.buffer)
    model.buffers = kept


def name_interface(model: Any) -> None:
    """Give the only signature, its tensors and the embedding tables the names of this package.

    Inputs must already carry their names in the signature; outputs are named in the order of
    their present names, which for a traced tuple (output_0, output_1) is the order of the tuple.
    """
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    signature.signatureKey = SIGNATURE.encode()
    signature.inputs.sort(key=lambda entry: INPUTS.index(entry.name.decode()))
    signature.outputs.sort(key=lambda entry: entry.name)
    for names, entries in ((INPUTS, signature.inputs), (OUTPUTS, signature.outputs)):
        for name, entry in zip(names, entries, strict=True):
            entry.name = graph.tensors[entry.tensorIndex].name = name.encode()
    graph.inputs = [entry.tensorIndex for entry in signature.inputs]
    graph.outputs = [entry.tensorIndex for entry in signature.outputs]

    producers = {out: op for op in graph.operators for out in op.outputs}
    for index, table in _lookups(model):
        while index in producers and _operator(model, producers[index]) != "CUMSUM":
            index = producers[index].inputs[0]
        source = graph.tensors[index].name.decode()
        names_by_source = {INPUTS[0]: WORD_TABLE, INPUTS[2]: SEGMENT_TABLE}
        table.name = names_by_source.get(source, POSITION_TABLE).encode()


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
        (index, place == 1 and _operator(model, op) == "RESHAPE")
        for op in graph.operators
        for place, index in enumerate(op.inputs)
    ]
    shapes = {index for index, is_shape in operands if is_shape}
    shapes -= {index for index, is_shape in operands if not is_shape}
    for index, tensor in enumerate(graph.tensors):
        name, data = tensor.name.decode(), model.buffers[tensor.buffer].data
        dims = _dims(tensor.shape)
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
    for operator, dims in _reshapes(model):
        if operator.builtinOptions is not None:
            operator.builtinOptions.newShape = dims.copy()


def describe(path: str | Path) -> FileSummary:
    """Summarize a .tflite file; see `parse` for its errors."""
    model = read(path)
    graph = model.subgraphs[0]
    uses = Counter(op.opcodeIndex for each in model.subgraphs for op in each.operators)
    return FileSummary(
        bytes=Path(path).stat().st_size,
        operators=tuple(
            OperatorUse(_code_name(code), max(code.version, 1), uses[index])
            for index, code in enumerate(model.operatorCodes)
            if uses[index] and not code.customCode
        ),
        custom_operators=tuple(
            sorted(_code_name(code) for code in model.operatorCodes if code.customCode)
        ),
        signatures={
            signature.signatureKey.decode(): (
                tuple(entry.name.decode() for entry in signature.inputs),
                tuple(entry.name.decode() for entry in signature.outputs),
            )
            for signature in model.signatureDefs or []
        },
        inputs=tuple(_summary(graph.tensors[index]) for index in graph.inputs),
        outputs=tuple(_summary(graph.tensors[index]) for index in graph.outputs),
        weights=tuple(
            WeightSummary(
                name=tensor.name.decode(),
                dtype=_TYPE_NAMES[tensor.type],
                shape=_dims(tensor.shape),
                bytes=len(model.buffers[tensor.buffer].data),
                scales=_scales(tensor),
                buffer=tensor.buffer,
            )
            for each in model.subgraphs
            for tensor in each.tensors
            if model.buffers[tensor.buffer].data is not None
        ),
    )


def check_portable(path: str | Path) -> list[str]:
    """Say what would keep a file from running right, at any length, in plain runtimes.

    Returns:
        One line for each problem; empty when there is none. See `parse` for errors.
    """
    return list(_problems(Path(path)))


def _problems(path: Path) -> Iterator[str]:
    model, summary = read(path), describe(path)
    graph, data = model.subgraphs[0], path.read_bytes()

    for name in summary.custom_operators:
        yield f"operator {name} is not builtin: a plain runtime lacks it"
    if len(model.subgraphs) != 1:
        yield f"{len(model.subgraphs)} graphs: some runtimes run only the first"
    if summary.signatures != {SIGNATURE: (INPUTS, OUTPUTS)}:
        yield f"signatures are {summary.signatures}, not {SIGNATURE!r}: {INPUTS} -> {OUTPUTS}"
    for side, expected, dtype in (
        (summary.inputs, INPUTS, "int32"),
        (summary.outputs, OUTPUTS, "float32"),
    ):
        if (names := tuple(tensor.name for tensor in side)) != expected:
            yield f"tensors are named {names}, not {expected}"
        for tensor in side:
            if tensor.dtype != dtype:
                yield f"{tensor.name} is {tensor.dtype}, not {dtype}"
            if tensor.shape_signature != (1, -1):
                yield f"{tensor.name} has shape signature {tensor.shape_signature}, not (1, -1)"

    for operator, dims in _reshapes(model):
        if -1 not in dims:
            name = graph.tensors[operator.outputs[0]].name.decode()
            yield f"reshape to {dims.tolist()} at {name} fixes the sequence length"

    quantized = any(weight.dtype in ("int8", "int4", "float16") for weight in summary.weights)
    for _, table in _lookups(model):
        if quantized and table.type == schema.TensorType.FLOAT32:
            yield f"embedding table {table.name.decode()} is still float32 in a quantized file"
        if (count := _scales(table)) > 1:
            name = table.name.decode()
            yield f"embedding table {name} has {count} scales: older runtimes read it as zeros"

    first_with: dict[bytes, str] = {}
    owners = {tensor.buffer: tensor.name.decode() for tensor in graph.tensors}
    address = np.frombuffer(data, np.uint8).ctypes.data
    packed = schema.Model.GetRootAs(data, 0)
    for index, buffer in enumerate(model.buffers):
        if buffer.data is None or index not in owners or len(buffer.data) < SMALLEST_WEIGHT_BYTES:
            continue
        twin = first_with.setdefault(bytes(buffer.data), owners[index])
        if twin != owners[index]:
            yield f"weight {owners[index]} is stored again: it equals {twin}"
        if packed.Buffers(index).Offset() > 1:
            yield f"weight {owners[index]} lies behind the flatbuffer: older runtimes lose it"
        else:
            vector = packed.Buffers(index).DataAsNumpy()
            if (vector.ctypes.data - address) % WEIGHT_ALIGNMENT:
                yield f"weight {owners[index]} is not aligned to {WEIGHT_ALIGNMENT} bytes"


def _reshapes(model: Any) -> Iterator[tuple[Any, Any]]:
    """Every RESHAPE of the first graph to a constant shape, with that shape, int32 (rank,)."""
    graph = model.subgraphs[0]
    for operator in graph.operators:
        if _operator(model, operator) == "RESHAPE" and len(operator.inputs) > 1:
            data = model.buffers[graph.tensors[operator.inputs[1]].buffer].data
            if data is not None:
                yield operator, data.view(np.int32)


def _lookups(model: Any) -> Iterator[tuple[int, Any]]:
    """Every table lookup of the first graph: its tensor of ids, and its table as it is stored."""
    graph = model.subgraphs[0]
    producers = {out: op for op in graph.operators for out in op.outputs}
    for operator in graph.operators:
        name = _operator(model, operator)
        if name in ("EMBEDDING_LOOKUP", "GATHER"):
            first, second = operator.inputs[:2]
            ids, table = (first, second) if name == "EMBEDDING_LOOKUP" else (second, first)
            while table in producers:  # a float16 table is dequantized first
                table = producers[table].inputs[0]
            yield ids, graph.tensors[table]


def _operator(model: Any, operator: Any) -> str:
    return _code_name(model.operatorCodes[operator.opcodeIndex])


def _code_name(code: Any) -> str:
    """The name of an operator; the older of two fields holds codes below 127 only."""
    if code.customCode:
        return str(code.customCode.decode())
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return _OPERATOR_NAMES.get(number, f"operator {number}")


def _summary(tensor: Any) -> TensorSummary:
    return TensorSummary(
        tensor.name.decode(),
        _TYPE_NAMES[tensor.type],
        _dims(tensor.shape),
        _dims(tensor.shapeSignature),
    )


def _dims(shape: Any) -> tuple[int, ...]:
    return () if shape is None else tuple(int(dim) for dim in shape)


def _scales(tensor: Any) -> int:
    scale = None if tensor.quantization is None else tensor.quantization.scale
    return 0 if scale is None else len(scale)
