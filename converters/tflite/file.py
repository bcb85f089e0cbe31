# SPDX-License-Identifier: Apache-2.0
"""Reads, rewrites and checks a .tflite file through the schema classes that ship with LiteRT.

Format: https://github.com/google-ai-edge/LiteRT (schema.fbs, file identifier TFL3). A model here is
the schema's mutable object tree (`ModelT`); `read` and `write` convert between it and a file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters import ConversionError, plain_file, reader, whole_file
from converters.tflite import bounds

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
        lengths: name of a signature -> the S that it takes; None where any will do.
        inputs: tensors of the first graph, in its order; `outputs` likewise.
        weights: constants of all graphs; those that share a buffer are stored once.
    """

    bytes: int
    operators: tuple[OperatorUse, ...]
    custom_operators: tuple[str, ...]
    signatures: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
    lengths: dict[str, int | None]
    inputs: tuple[TensorSummary, ...]
    outputs: tuple[TensorSummary, ...]
    weights: tuple[WeightSummary, ...]


class _Builder(flatbuffers.Builder):  # type: ignore[misc]
    """Aligns byte vectors as the schema demands, and writes what is equal once.

    The Python classes do neither. Scales, zero points, shapes and names repeat from layer to layer
    and from signature to signature; a table may point at what another one points at.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._places: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:  # noqa: N802
        if x.itemsize == 1:  # a weight: buffers are shared already, and a key would be a copy
            return int(super().CreateNumpyVector(x))
        key = (x.dtype.str, x.tobytes())
        if key not in self._places:
            self._places[key] = super().CreateNumpyVector(x)
        return self._places[key]

    def CreateString(self, s: bytes, encoding: str = "utf-8", errors: str = "strict") -> int:  # noqa: N802
        key = ("", s)
        if key not in self._places:
            self._places[key] = super().CreateString(s, encoding, errors)
        return self._places[key]

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
        bounds.check(data)
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
        for buffer in model.buffers:
            if buffer.offset > 1:  # 0: none; 1: reserved by the schema for "empty"
                end = buffer.offset + buffer.size
                if end > len(data):
                    raise ValueError(f"a buffer ends at byte {end}")
                buffer.data, buffer.offset, buffer.size = whole[buffer.offset : end], 0, 0
        bounds.check_buffers(model.buffers, len(data))
        return model if model.subgraphs else _damaged(name, len(data), "no graph")
    # The generated classes trust the file: damage shows as whatever error it happens to hit.
    except Exception as error:
        raise _damaged(name, len(data), error) from error


def _damaged(name: str, size: int, why: object) -> ConversionError:
    return ConversionError(f"{name} is damaged or cut off at {size} bytes ({why}); export it again")


def read(path: str | Path) -> Any:
    """Read a .tflite file into a `ModelT`; see `parse` for its errors."""
    try:
        return parse(plain_file.read_bytes(Path(path)), str(path))
    except OSError as error:
        raise ConversionError(f"cannot read {path}: {error.strerror}; check the path") from error


def serialize(model: Any) -> bytes:
    """Turn a `ModelT` into the bytes of a file: every weight inside, aligned and stored once."""
    _share_equal_buffers(model)
    size = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    builder = _Builder(size + 2**16)  # room for the rest, so that it need not grow
    builder.Finish(model.Pack(builder), file_identifier=FILE_IDENTIFIER)
    return bytes(builder.Output())


def write(model: Any, path: str | Path) -> Path:
    """Write a `ModelT` to `path`, whole or not at all, and return the path."""
    return whole_file.export(path, serialize(model))


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


def round_inputs_as_litert(model: Any) -> None:
    """Have int8 layers with one scale round their inputs as LiteRT does, in every runtime.

    LiteRT's kernels spread the 256 levels from a token's lowest value to its highest; TensorFlow
    Lite's own, which such layers meet in old runtimes, from minus to plus its largest, unless told
    so. Logits of TensorFlow 2.16.2 then differ by rounding noise where it was up to 0.5.

    Args:
        model: a `ModelT`; changed in place. The flag counts from TensorFlow Lite 2.3 on.
    """
    for graph in model.subgraphs:
        for operator in graph.operators:
            if operator_name(model, operator) != "FULLY_CONNECTED":
                continue
            weight = graph.tensors[operator.inputs[1]]
            if weight.type == schema.TensorType.INT8 and scales(weight) == 1:
                operator.builtinOptions.asymmetricQuantizeInputs = True


@reader
def describe(path: str | Path) -> FileSummary:
    """Summarize a .tflite file; see `parse` for its errors."""
    model = read(path)
    graph = model.subgraphs[0]
    uses = Counter(op.opcodeIndex for each in model.subgraphs for op in each.operators)
    return FileSummary(
        bytes=Path(path).stat().st_size,
        operators=tuple(
            OperatorUse(code_name(code), max(code.version, 1), uses[index])
            for index, code in enumerate(model.operatorCodes)
            if uses[index] and not code.customCode
        ),
        custom_operators=tuple(
            sorted(code_name(code) for code in model.operatorCodes if code.customCode)
        ),
        signatures={
            signature.signatureKey.decode(): (
                tuple(entry.name.decode() for entry in signature.inputs),
                tuple(entry.name.decode() for entry in signature.outputs),
            )
            for signature in model.signatureDefs or []
        },
        lengths={
            signature.signatureKey.decode(): _length(model.subgraphs[signature.subgraphIndex])
            for signature in model.signatureDefs or []
        },
        inputs=tuple(summary_of(graph.tensors[index]) for index in graph.inputs),
        outputs=tuple(summary_of(graph.tensors[index]) for index in graph.outputs),
        weights=tuple(
            dict.fromkeys(
                WeightSummary(
                    name=tensor.name.decode(),
                    dtype=_TYPE_NAMES[tensor.type],
                    shape=dims(tensor.shape),
                    bytes=len(model.buffers[tensor.buffer].data),
                    scales=scales(tensor),
                    buffer=tensor.buffer,
                )
                for each in model.subgraphs
                for tensor in each.tensors
                if model.buffers[tensor.buffer].data is not None
            )
        ),
    )


def reshapes(model: Any, graph: Any) -> Iterator[tuple[Any, NDArray[np.int32]]]:
    """Every RESHAPE of a graph to a constant shape, with that shape, int32 (rank,)."""
    for operator in graph.operators:
        if operator_name(model, operator) == "RESHAPE" and len(operator.inputs) > 1:
            data = model.buffers[graph.tensors[operator.inputs[1]].buffer].data
            if data is not None:
                yield operator, data.view(np.int32)


def lookups(model: Any, graph: Any) -> Iterator[tuple[int, Any]]:
    """Every table lookup of a graph: its tensor of ids, and its table as it is stored."""
    producers = {out: op for op in graph.operators for out in op.outputs}
    for operator in graph.operators:
        name = operator_name(model, operator)
        if name in ("EMBEDDING_LOOKUP", "GATHER"):
            first, second = operator.inputs[:2]
            ids, table = (first, second) if name == "EMBEDDING_LOOKUP" else (second, first)
            seen = set()
            while table in producers and table not in seen:  # a float16 table is dequantized first
                seen.add(table)
                table = producers[table].inputs[0]
            yield ids, graph.tensors[table]


def operator_name(model: Any, operator: Any) -> str:
    """The name of what an operator of a graph does."""
    return code_name(model.operatorCodes[operator.opcodeIndex])


def code_name(code: Any) -> str:
    """The name of an operator; the older of two fields holds codes below 127 only."""
    if code.customCode:
        return str(code.customCode.decode())
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return _OPERATOR_NAMES.get(number, f"operator {number}")


def summary_of(tensor: Any) -> TensorSummary:
    """What a reader wants to know of a tensor."""
    return TensorSummary(
        tensor.name.decode(),
        _TYPE_NAMES[tensor.type],
        dims(tensor.shape),
        dims(tensor.shapeSignature),
    )


def _length(graph: Any) -> int | None:
    """The S that a graph's first input (1, S) takes; None where any will do."""
    if len(graph.inputs) == 0:
        return None
    first = graph.tensors[graph.inputs[0]]
    shape = dims(first.shapeSignature) or dims(first.shape)
    return shape[1] if len(shape) == 2 and shape[1] > 0 else None


def dims(shape: Any) -> tuple[int, ...]:
    """A shape as the file stores it, or the lack of one, as plain integers."""
    return () if shape is None else tuple(int(dim) for dim in shape)


def scales(tensor: Any) -> int:
    """How many scales a tensor of a `ModelT` is stored with; 0 for a float one."""
    scale = None if tensor.quantization is None else tensor.quantization.scale
    return 0 if scale is None else len(scale)
