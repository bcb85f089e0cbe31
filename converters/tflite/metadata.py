# SPDX-License-Identifier: Apache-2.0
"""TFLite metadata: what a .tflite file says about itself, and the vocabulary packed into it.

With it, Android Studio describes the model, and the Task Library's `BertQuestionAnswerer` answers
from the file alone, as its `BertNLClassifier` and MediaPipe's `TextClassifier` name classes. Three
parts: `min_runtime_version` and a flatbuffer of its own among the model's metadata, and a zip
behind the model that holds the vocabulary and the names of the classes, uncompressed. Format:
https://github.com/tensorflow/tflite-support (metadata_schema.fbs 1.1, file identifier M001).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import number_types
from flatbuffers.table import Table

from converters import ConversionError, reader, whole_file
from converters.interface import INPUTS, Interface, expected_tensors, interface_of
from converters.tflite import file as tflite_file
from converters.tflite.file import WORD_TABLE
from converters.tflite.versions import lowest_runtime, raise_versions

VOCABULARY_FILE = "vocab.txt"
LABELS_FILE = "labels.txt"

_ENTRY = b"TFLITE_METADATA"
_RUNTIME_ENTRY = b"min_runtime_version"
_RUNTIME_BYTES = 16  # fixed by the runtimes, padded with zeros
_IDENTIFIER = b"M001"
_LARGEST_MEMBER = 64 * 2**20  # bytes; the vocabularies of large multilingual models take 5 MB
_PARSER_VERSION = "1.1.0"  # the first that knows tokenizers

# The tables of the schema: their fields in its order, which makes the slots of the flatbuffer.
# str, int (a byte) and a table's name are kinds of fields; a list holds many of its kind. A union
# is two fields, of which we know one member each: `_UNIONS` has its number.
_TABLES: dict[str, dict[str, Any]] = {
    "ModelMetadata": {
        "name": str,
        "description": str,
        "version": str,
        "subgraph_metadata": ["SubGraphMetadata"],
        "author": str,
        "license": str,
        "associated_files": ["AssociatedFile"],
        "min_parser_version": str,
    },
    "SubGraphMetadata": {
        "name": str,
        "description": str,
        "input_tensor_metadata": ["TensorMetadata"],
        "output_tensor_metadata": ["TensorMetadata"],
        "associated_files": ["AssociatedFile"],
        "input_process_units": ["ProcessUnit"],
    },
    "TensorMetadata": {
        "name": str,
        "description": str,
        "dimension_names": [str],
        "content": "Content",
        "process_units": ["ProcessUnit"],
        "stats": "Stats",
        "associated_files": ["AssociatedFile"],
    },
    "Stats": {},
    "Content": {"content_properties_type": int, "content_properties": "FeatureProperties"},
    "FeatureProperties": {},
    "ProcessUnit": {"options_type": int, "options": "BertTokenizerOptions"},
    "BertTokenizerOptions": {"vocab_file": ["AssociatedFile"]},
    "AssociatedFile": {"name": str, "description": str, "type": int},
}
_UNIONS = {"FeatureProperties": 1, "BertTokenizerOptions": 4}
_LABELS_TYPE, _VOCABULARY_TYPE = 2, 5

# The name by which the Task Library looks up the scores of classes; it crashes without it. Neither
# it nor MediaPipe computes a softmax: the scores that they give are the logits.
_CLASS_NAME = "probability"

# The Task Library looks these up by name and reads out of range if they are missing.
_SPECIAL_PIECES = ("[CLS]", "[SEP]", "[UNK]")


@dataclass(frozen=True)
class About:
    """What people read about a model.

    Attributes:
        name: of the model.
        description: what it does and what it was trained on.
        version: of the model, as its author counts.
        author: who made it.
        license: of the weights, which is that of the teacher and of the training data.
    """

    name: str
    description: str
    version: str
    author: str
    license: str


@dataclass(frozen=True)
class Metadata:
    """What a file says about itself.

    Attributes:
        about: the texts.
        inputs: name and description of each input tensor, in the graph's order.
        outputs: the same of the outputs.
        vocabulary: WordPiece pieces, the place of each being its id.
        labels: the names of the classes, in the order of the output; none without any.
        min_runtime_version: oldest TensorFlow Lite that computes the file right.
        min_parser_version: oldest schema version that knows every field.
    """

    about: About
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    vocabulary: tuple[str, ...]
    labels: tuple[str, ...]
    min_runtime_version: str
    min_parser_version: str


@reader
def add_metadata(
    path: str | Path, vocabulary: str | Path, about: About, labels: Sequence[str] = ()
) -> Path:
    """Write metadata, vocabulary and lowest runtime into a .tflite file, in place of older ones.

    Operators get the versions that their types need, so that a runtime which would compute them
    wrong refuses the file. Nothing else changes: same tensors, same weights, same results.

    Args:
        path: a file of `converters.tflite.export`; rewritten whole or not at all.
        vocabulary: a text file with a WordPiece piece a line, UTF-8.
        about: what people read.
        labels: the names of the classes, in the order of the output; none without any.

    Returns:
        The path of the file.

    Raises:
        ConversionError: a file that cannot be read or written, tensors that are not this package's,
            or a vocabulary that does not fit the word embeddings.
    """
    model = tflite_file.read(path)
    packed = _read_vocabulary(Path(vocabulary))
    interface = _interface(model, path)
    _check_vocabulary(vocabulary, _pieces(packed), model, path)
    raise_versions(model)
    runtime = lowest_runtime(model).tensorflow.encode().ljust(_RUNTIME_BYTES, b"\0")
    _set_entry(model, _RUNTIME_ENTRY, runtime)
    _set_entry(model, _ENTRY, _serialize(about, interface, bool(labels)))
    archive = io.BytesIO(tflite_file.serialize(model))
    # Behind the model, with offsets from the start of the file, as Android's reader wants them.
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_STORED) as zipped:
        zipped.writestr(_dated(VOCABULARY_FILE), packed)
        if labels:
            lines = "".join(f"{' '.join(label.split())}\n" for label in labels)
            zipped.writestr(_dated(LABELS_FILE), lines.encode("utf-8"))
    return whole_file.export(path, archive.getvalue())


def read_metadata(path: str | Path) -> Metadata:
    """Read what `add_metadata` wrote, or what another writer wrote for the same task.

    Raises:
        ConversionError: no such file, damaged, or without metadata, vocabulary or tokenizer.
    """
    model = tflite_file.read(path)
    entries = {entry.name: model.buffers[entry.buffer].data for entry in model.metadata or []}
    if entries.get(_ENTRY) is None:
        raise ConversionError(f"{path} has no metadata: add it with tflite_metadata.add_metadata")
    data = bytes(entries[_ENTRY])
    try:
        if data[4:8] != _IDENTIFIER:
            raise ValueError(f"identifier {data[4:8]!r}")
        root = Table(data, int.from_bytes(data[:4], "little"))
        found = _read(root, "ModelMetadata")
        graph = found["subgraph_metadata"][0]
        vocabulary = graph["input_process_units"][0]["options"]["vocab_file"][0]["name"]
        named = [
            file["name"]
            for output in graph["output_tensor_metadata"]
            for file in output.get("associated_files", ())
            if file.get("type") == _LABELS_TYPE
        ]
        with zipfile.ZipFile(path) as zipped:
            pieces = _pieces(_member(zipped, vocabulary))
            labels = _pieces(_member(zipped, named[0])) if named else ()
        runtime = entries.get(_RUNTIME_ENTRY)
        return Metadata(
            about=About(**{field.name: found.get(field.name, "") for field in fields(About)}),
            inputs=_tensors(graph["input_tensor_metadata"]),
            outputs=_tensors(graph["output_tensor_metadata"]),
            vocabulary=pieces,
            labels=labels,
            min_runtime_version="" if runtime is None else bytes(runtime).rstrip(b"\0").decode(),
            min_parser_version=found.get("min_parser_version", ""),
        )
    # Damage shows as whatever error the bytes happen to hit, and so does a field that is missing.
    except Exception as error:
        raise ConversionError(
            f"the metadata of {path} is damaged or not of this form "
            f"({type(error).__name__}: {error}); export the file again"
        ) from error


def _member(zipped: zipfile.ZipFile, name: str) -> bytes:
    """A file of the zip, unless it says that it unpacks to more than any vocabulary has."""
    if (size := zipped.getinfo(name).file_size) > _LARGEST_MEMBER:
        raise ValueError(f"{name} unpacks to {size:,} bytes")
    return zipped.read(name)


def _tensors(entries: list[dict[str, Any]]) -> tuple[tuple[str, str], ...]:
    return tuple((entry["name"], entry.get("description", "")) for entry in entries)


def _dated(name: str) -> zipfile.ZipInfo:
    """A file of the zip with a fixed date: same model, same bytes."""
    return zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))


def _read_vocabulary(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        data.decode("utf-8")
    except OSError as error:
        raise ConversionError(f"cannot read {path}: {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise ConversionError(f"{path} is not UTF-8 ({error}): write one piece a line") from error
    return data


def _pieces(data: bytes) -> tuple[str, ...]:
    r"""One piece a line; not `splitlines`, which also cuts at characters that pieces may be."""
    return tuple(data.decode("utf-8").replace("\r\n", "\n").removesuffix("\n").split("\n"))


def _interface(model: Any, file: str | Path) -> Interface:
    """What a model of this package gives; a ConversionError for any other."""
    graph = model.subgraphs[0]
    inputs, outputs = (
        tuple(graph.tensors[index].name.decode() for index in indices)
        for indices in (graph.inputs, graph.outputs)
    )
    interface = interface_of(outputs)
    if inputs != INPUTS or interface is None or outputs != interface.names:
        raise ConversionError(
            f"{file} maps the tensors {', '.join(inputs)} to {', '.join(outputs)}: expected "
            f"{expected_tensors()}; export it with converters.tflite.export"
        )
    return interface


def _check_vocabulary(
    path: str | Path, pieces: tuple[str, ...], model: Any, file: str | Path
) -> None:
    tables = {tensor.name: tensor for tensor in model.subgraphs[0].tensors}
    if (table := tables.get(WORD_TABLE.encode())) is None:
        raise ConversionError(
            f"{file} has no {WORD_TABLE}: export it with converters.tflite.export"
        )
    rows = int(table.shape[0])
    if len(pieces) != rows:
        raise ConversionError(
            f"{path} has {len(pieces)} pieces, the word embeddings of {file} have {rows} rows: "
            "take the vocabulary that the model was trained with"
        )
    if missing := [piece for piece in _SPECIAL_PIECES if piece not in pieces]:
        raise ConversionError(
            f"{path} lacks {', '.join(missing)}: take the vocabulary that the model was trained "
            "with"
        )


def _set_entry(model: Any, name: bytes, content: bytes) -> None:
    """Put `content` among the metadata of a `ModelT`, in place of an older entry of the name."""
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data, entry.name, entry.buffer = content, name, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [old for old in model.metadata or [] if old.name != name] + [entry]


def _serialize(about: About, interface: Interface, has_labels: bool) -> bytes:
    """The metadata flatbuffer; with labels, the first output for classes names their file."""
    vocabulary = {
        "name": VOCABULARY_FILE,
        "description": "WordPiece vocabulary, one piece a line.",
        "type": _VOCABULARY_TYPE,
    }
    outputs = [
        _tensor(_CLASS_NAME if one.axis == "class" else one.name, one.meaning, one.axis)
        for one in interface.outputs
    ]
    if has_labels:
        labels = {
            "name": LABELS_FILE,
            "description": "Names of the classes, one a line.",
            "type": _LABELS_TYPE,
        }
        outputs[0]["associated_files"] = [labels]
    graph = {
        "name": interface.signature,
        "description": interface.summary,
        "input_tensor_metadata": [_tensor(name, interface.inputs[name]) for name in INPUTS],
        "output_tensor_metadata": outputs,
        "input_process_units": [{"options": {"vocab_file": [vocabulary]}}],
    }
    builder = flatbuffers.Builder(1024)
    root = _write(
        builder,
        "ModelMetadata",
        asdict(about) | {"subgraph_metadata": [graph], "min_parser_version": _PARSER_VERSION},
    )
    builder.Finish(root, file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def _tensor(name: str, meaning: str, axis: str = "token") -> dict[str, Any]:
    return {
        "name": name,
        "description": meaning,
        "dimension_names": ["batch", axis],
        "content": {"content_properties": {}},
    }


def _write(builder: flatbuffers.Builder, table: str, values: dict[str, Any]) -> int:
    """Write a table and everything below it; returns its place in the buffer."""
    kinds = _TABLES[table]
    for name in [name for name in values if f"{name}_type" in kinds]:
        values = values | {f"{name}_type": _UNIONS[kinds[name]]}
    stored = {name: _store(builder, kinds[name], value) for name, value in values.items()}
    builder.StartObject(len(kinds))
    for slot, (name, kind) in enumerate(kinds.items()):
        if name in stored and kind is int:
            builder.PrependUint8Slot(slot, stored[name], 0)
        elif name in stored:
            builder.PrependUOffsetTRelativeSlot(slot, stored[name], 0)
    return int(builder.EndObject())


def _store(builder: flatbuffers.Builder, kind: Any, value: Any) -> int:
    """Write what a field points at; returns its place, or the value where nothing is pointed at."""
    if kind is int:
        return int(value)
    if kind is str:
        return int(builder.CreateString(value))
    if isinstance(kind, str):
        return _write(builder, kind, value)
    places = [_store(builder, kind[0], each) for each in value]
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return int(builder.EndVector())


def _read(table: Table, name: str) -> dict[str, Any]:
    """Read the fields of a table that are present and known."""
    found: dict[str, Any] = {}
    for slot, (field, kind) in enumerate(_TABLES[name].items()):
        offset = table.Offset(4 + 2 * slot)
        member = _UNIONS.get(kind) if isinstance(kind, str) else None
        if offset and (member is None or member == found.get(f"{field}_type")):
            found[field] = _fetch(table, kind, table.Pos + offset)
    return found


def _fetch(table: Table, kind: Any, position: int) -> Any:
    """Read what stands at a position of the buffer."""
    if kind is int:
        return table.Get(number_types.Uint8Flags, position)
    if kind is str:
        return table.String(position).decode("utf-8")
    if isinstance(kind, str):
        return _read(Table(table.Bytes, table.Indirect(position)), kind)
    start = table.Indirect(position)
    count = table.Get(number_types.UOffsetTFlags, start)
    if start + 4 + 4 * count > len(table.Bytes):
        raise ValueError(f"a list of {count} entries")
    return [_fetch(table, kind[0], start + 4 + 4 * index) for index in range(count)]
