# SPDX-License-Identifier: Apache-2.0
"""Reads and writes an .onnx file, and says which ONNX Runtime can open it.

Format: https://onnx.ai (onnx.proto, a Protocol Buffer without an identifier).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper

from converters import ConversionError, plain_file, reader, whole_file
from converters.interface import MAX_LENGTH_KEY

# What one Protocol Buffer can hold.
LARGEST_BYTES = 2**31 - 1

# Shorter constants (shapes, scalars) repeat by chance and cost nothing.
SMALLEST_WEIGHT_BYTES = 64

# Keys of the metadata that every file of ours has; values are text.
# The one that a runtime needs is the last: a file that was cut off anywhere lacks it.
METADATA_KEYS = ("precision", "opset", "ir_version", "lowest_onnxruntime", MAX_LENGTH_KEY)

STANDARD_DOMAINS = ("", "ai.onnx")

# By numpy's names.
_DTYPES: dict[int, str] = {
    **{number: name.lower() for name, number in TensorProto.DataType.items()},
    TensorProto.FLOAT: "float32",
    TensorProto.DOUBLE: "float64",
}

# ONNX Runtime -> the opset and the IR version up to which it opens files. Releases that add neither
# are left out. https://onnxruntime.ai/docs/reference/compatibility.html, which ends at 1.20.
_RUNTIMES = (
    ("1.0", 11, 6),
    ("1.3", 12, 7),
    ("1.6", 13, 7),
    ("1.8", 14, 7),
    ("1.9", 15, 8),
    ("1.11", 16, 8),
    ("1.12", 17, 8),
    ("1.14", 18, 8),
    ("1.15", 19, 8),
    ("1.16", 19, 9),
    ("1.17", 20, 9),
    ("1.18", 21, 10),
)

# Operators of ONNX Runtime's own domain -> the first release that has them, found by opening a file
# of one operator in 1.13.1, 1.14.1, 1.15.0, 1.16.3, 1.17.3, 1.18.1, 1.19.2 and 1.20.1. 1.13 stands
# for this one or an older one.
CONTRIB_DOMAIN = "com.microsoft"
CONTRIB_RUNTIMES = {
    **dict.fromkeys(
        (
            "Attention",
            "BiasGelu",
            "DequantizeLinear",
            "DynamicQuantizeMatMul",
            "EmbedLayerNormalization",
            "FastGelu",
            "FusedGemm",
            "FusedMatMul",
            "Gelu",
            "MatMulIntegerToFloat",
            "QAttention",
            "QEmbedLayerNormalization",
            "QLinearAdd",
            "QuantizeLinear",
            "SkipLayerNormalization",
        ),
        "1.13",
    ),
    "MultiHeadAttention": "1.14",
    "QuickGelu": "1.14",
    "SkipSimplifiedLayerNormalization": "1.14",
    "GroupQueryAttention": "1.16",
    "MatMulBnb4": "1.16",
    "MatMulNBits": "1.16",
    "RotaryEmbedding": "1.16",
    "QMoE": "1.18",
    "GatherBlockQuantized": "1.20",
}


@dataclass(frozen=True)
class OperatorUse:
    """An operator, its domain ("" is standard ONNX), and how often it occurs."""

    domain: str
    name: str
    count: int


@dataclass(frozen=True)
class TensorSummary:
    """An input or output: its dtype by name, its dims, each a number or the name of an open one."""

    name: str
    dtype: str
    dims: tuple[int | str, ...]


@dataclass(frozen=True)
class WeightSummary:
    """A constant: its stored bytes, and whether they lie in this file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    inside: bool


@dataclass(frozen=True)
class FileSummary:
    """What is inside an .onnx file.

    Attributes:
        bytes: size of the file.
        ir_version: of the format.
        opsets: domain -> version of its operators; "" is standard ONNX.
        operators: in the graph and below it, by domain and name.
        inputs: of the graph, in its order; `outputs` likewise.
        weights: constants, each stored once.
        metadata: as written, key -> text.
        lowest_runtime: the oldest ONNX Runtime ("1.14") that opens it; None if the file needs a
            release or an operator that we do not know.
    """

    bytes: int
    ir_version: int
    opsets: dict[str, int]
    operators: tuple[OperatorUse, ...]
    inputs: tuple[TensorSummary, ...]
    outputs: tuple[TensorSummary, ...]
    weights: tuple[WeightSummary, ...]
    metadata: dict[str, str]
    lowest_runtime: str | None


def read(path: str | Path) -> ModelProto:
    """Read an .onnx file; weights that it keeps in other files are not read.

    Raises:
        ConversionError: missing, or not an .onnx file.
    """
    path = Path(path)
    try:
        data = plain_file.read_bytes(path, LARGEST_BYTES + 1)
    except OSError as error:
        raise ConversionError(f"cannot read {path}: {error.strerror}; check the path") from error
    if len(data) > LARGEST_BYTES:
        raise _damaged(path, len(data), f"a file has at most {LARGEST_BYTES:,} bytes")
    try:
        model: ModelProto = ModelProto.FromString(data)
    except Exception as error:  # protobuf's error type depends on how it was built
        raise _damaged(path, len(data), "not a Protocol Buffer") from error
    if not (model.ir_version and model.opset_import and model.graph.node):
        raise _damaged(path, len(data), "no graph")
    return model


def _damaged(path: Path, size: int, why: str) -> ConversionError:
    return ConversionError(
        f"{path} is no .onnx file, or is cut off at {size} bytes ({why}); export it again"
    )


def write(model: ModelProto, path: str | Path) -> Path:
    """Check a model and write it to `path`, whole or not at all; return the path.

    Raises:
        ConversionError: too large for one file, or the file system refuses.
        onnx.checker.ValidationError: not valid ONNX, which is a bug here.
    """
    size = sum(_bytes(weight) for weight in model.graph.initializer)
    if size > LARGEST_BYTES:
        raise ConversionError(
            f"{path} would hold {size / 1e9:.1f} GB of weights, and one .onnx file holds 2 GB: "
            "choose a smaller precision"
        )
    onnx.checker.check_model(model, full_check=True)
    return whole_file.export(path, model.SerializeToString(deterministic=True))


def strip_notes(model: ModelProto) -> None:
    """Remove what an exporter notes about the code it saw: paths of the machine, in every node."""
    graph = model.graph
    tensors = (*graph.input, *graph.output, *graph.initializer)
    everything: list[Any] = [model, graph, *graph.node, *tensors]
    for noted in everything:
        del noted.metadata_props[:]
        noted.doc_string = ""
    del graph.value_info[:]  # every shape follows from the inputs'


def share_equal_weights(model: ModelProto) -> None:
    """Keep one weight for each content, and let every operator read that one."""
    kept: dict[object, str] = {}
    new_names: dict[str, str] = {}
    for weight in list(model.graph.initializer):
        first = kept.setdefault(content(weight), weight.name)
        if first != weight.name:
            new_names[weight.name] = first
            model.graph.initializer.remove(weight)
    for node in model.graph.node:
        node.input[:] = [new_names.get(name, name) for name in node.input]


def describe_in_metadata(model: ModelProto, *, precision: str, max_length: int) -> None:
    """Write what an app or a person may ask of the file into its metadata; see `METADATA_KEYS`."""
    values = (precision, _opsets(model)[""], model.ir_version, lowest_runtime(model), max_length)
    entries = {key: str(value) for key, value in zip(METADATA_KEYS, values, strict=True)}
    helper.set_model_props(model, entries)


def lowest_runtime(model: ModelProto) -> str | None:
    """The oldest ONNX Runtime that opens a model, such as "1.14"; None if that is not known."""
    opset = _opsets(model).get("", 0)
    needed = [
        next(
            (
                release
                for release, newest_opset, newest_ir in _RUNTIMES
                if opset <= newest_opset and model.ir_version <= newest_ir
            ),
            None,
        )
    ]
    for domain, name in _operators(model):
        if domain == CONTRIB_DOMAIN:
            needed.append(CONTRIB_RUNTIMES.get(name))
        elif domain not in STANDARD_DOMAINS:
            needed.append(None)
    known = [release for release in needed if release is not None]
    return max(known, key=_release) if len(known) == len(needed) else None


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


@reader
def describe(path: str | Path) -> FileSummary:
    """Summarize an .onnx file; see `read` for its errors."""
    model = read(path)
    return FileSummary(
        bytes=Path(path).stat().st_size,
        ir_version=model.ir_version,
        opsets=_opsets(model),
        operators=tuple(
            OperatorUse(domain, name, count)
            for (domain, name), count in sorted(_operators(model).items())
        ),
        inputs=tuple(_summary(value) for value in _inputs(model.graph)),
        outputs=tuple(_summary(value) for value in model.graph.output),
        weights=tuple(
            WeightSummary(
                name,
                _DTYPES.get(tensor.data_type, str(tensor.data_type)),
                tuple(tensor.dims),
                _bytes(tensor),
                _inside(tensor),
            )
            for name, tensor in constants_of(model.graph)
        ),
        metadata={entry.key: entry.value for entry in model.metadata_props},
        lowest_runtime=lowest_runtime(model),
    )


def _opsets(model: ModelProto) -> dict[str, int]:
    """Domain -> version; "ai.onnx" is the long name of ""."""
    return {
        "" if entry.domain in STANDARD_DOMAINS else entry.domain: entry.version
        for entry in model.opset_import
    }


def _operators(model: ModelProto) -> Counter[tuple[str, str]]:
    """How often each operator occurs, by (domain, name); functions of the model are looked into."""
    own = {(function.domain, function.name) for function in model.functions}
    nodes = [*nodes_of(model.graph), *(node for each in model.functions for node in nodes_of(each))]
    names = (
        ("" if node.domain in STANDARD_DOMAINS else node.domain, node.op_type) for node in nodes
    )
    return Counter(name for name in names if name not in own)


def nodes_of(graph: GraphProto | onnx.FunctionProto) -> Iterator[NodeProto]:
    """Every node, those of inner graphs included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            inner = (attribute.g,) if attribute.type == AttributeProto.GRAPH else attribute.graphs
            for each in inner:
                yield from nodes_of(each)


def constants_of(graph: GraphProto) -> Iterator[tuple[str, TensorProto]]:
    """Every constant tensor of the graph by its name: initializers, and results of Constant."""
    for weight in graph.initializer:
        yield weight.name, weight
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].type == AttributeProto.TENSOR:
            yield node.output[0], node.attribute[0].t


def _inputs(graph: GraphProto) -> Iterator[onnx.ValueInfoProto]:
    """Inputs that a caller gives; old files list their weights too."""
    weights = {weight.name for weight in graph.initializer}
    return (value for value in graph.input if value.name not in weights)


def _summary(value: onnx.ValueInfoProto) -> TensorSummary:
    tensor = value.type.tensor_type
    dims = (
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?"
        for dim in tensor.shape.dim
    )
    return TensorSummary(
        value.name, _DTYPES.get(tensor.elem_type, str(tensor.elem_type)), tuple(dims)
    )


def _inside(tensor: TensorProto) -> bool:
    return tensor.data_location != TensorProto.EXTERNAL


def content(tensor: TensorProto) -> object:
    """What makes two tensors equal; those in the listed form, which no exporter uses, never are."""
    values = tensor.raw_data or tensor.SerializeToString()
    return tensor.data_type, tuple(tensor.dims), values


def _bytes(tensor: TensorProto) -> int:
    """Stored bytes: of the raw form that exporters use, or about as many in the listed form."""
    return len(tensor.raw_data) or tensor.ByteSize()
