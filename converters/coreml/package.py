# SPDX-License-Identifier: Apache-2.0
"""Writes and reads a Core ML package (.mlpackage), whole or not at all, under a seal.

A package is a folder: `Manifest.json` names a program (`model.mlmodel`, a protocol buffer) and the
weights beside it (`weight.bin`). Core ML checks none of their bytes. Here the program's metadata
carries the SHA-256 of both files, the digest's own place counted as zeros, and the manifest is
derived from that digest: `read` notices any byte that changed, headers and padding included.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from converters import ConversionError
from converters.quiet import quiet

SUFFIX = ".mlpackage"
MANIFEST = "Manifest.json"
MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"

SEAL_KEY = "package_sha256"
VOCABULARY_KEY = "vocabulary"
# The day would change the bytes of equal models.
_UNREPEATABLE = "com.github.apple.coremltools.conversion_date"

# Weights lie in a file of their own: a program of the largest models has 2 MB.
_LARGEST_BYTES = 256 * 2**20

_BLANK = b"0" * 64
# A metadata entry as protocol buffers write it: the key, then field 2 of 64 bytes.
_SEAL = re.compile(SEAL_KEY.encode() + rb"\x12\x40([0-9a-f]{64})", re.DOTALL)


class Function(NamedTuple):
    """A function of a program: names of its inputs and outputs, and the lengths it takes."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    smallest: int
    largest: int
    default: int


def write(spec: Any, weights: bytes, path: str | Path) -> Path:
    """Seal a program and its weights and write them as the folder `path`.

    Args:
        spec: the `Model` protocol buffer; its metadata gets the seal.
        weights: content of `weight.bin`.
        path: the package; one that exists is replaced.

    Raises:
        ConversionError: the name is not a package's, or the folder cannot be written.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise ConversionError(f"cannot write {path}: the name of a package ends in {SUFFIX}")
    spec.description.metadata.userDefined.pop(_UNREPEATABLE, None)
    spec.description.metadata.userDefined[SEAL_KEY] = _BLANK.decode()
    model = spec.SerializeToString(deterministic=True)
    seal = _digest(model, [weights])
    found = _SEAL.search(model)
    assert found is not None  # it was put there four lines above
    model = model[: found.start(1)] + seal.encode() + model[found.end(1) :]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
            new = Path(scratch) / "new"
            contents = {MANIFEST: _manifest(seal).encode(), MODEL: model, WEIGHTS: weights}
            for name, content in contents.items():
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                (new / name).write_bytes(content)
            if path.exists():  # a folder cannot be replaced by a folder in one step
                path.replace(Path(scratch) / "old")
            new.replace(path)
    except OSError as error:
        raise ConversionError(f"cannot write {path}: {error.strerror}; free or fix it") from error
    return path


def read(path: str | Path) -> Any:
    """Read the program of a package as a `Model` protocol buffer, after checking every byte.

    Raises:
        ConversionError: no package, one that lacks a file, is damaged or was changed.
    """
    path = Path(path)
    if not path.exists():
        raise ConversionError(f"{path} does not exist: check the path")
    if path.suffix != SUFFIX or not path.is_dir():
        raise ConversionError(f"{path} is not a Core ML package: expected a folder {SUFFIX}")
    manifest, model = (_whole(path, name) for name in (MANIFEST, MODEL))
    found = _SEAL.findall(model)
    if len(found) != 1:
        raise ConversionError(
            f"{path} is damaged or not of this package's making ({MODEL} has no {SEAL_KEY}); "
            "export it again"
        )
    seal = found[0].decode()
    for name, matches in (
        (f"{MODEL} or {WEIGHTS}", _digest(model, _content(path, WEIGHTS)) == seal),
        (MANIFEST, manifest == _manifest(seal).encode()),
    ):
        if not matches:
            raise ConversionError(
                f"{path} is damaged or was changed: {name} differs from what was exported; export "
                "it again"
            )
    with quiet():
        from coremltools.proto import Model_pb2  # late: the package takes seconds
    try:
        return Model_pb2.Model.FromString(model)
    except Exception as error:  # a class of another library, which coremltools brings
        raise ConversionError(f"{path} is damaged ({MODEL}); export it again") from error


def metadata(path: str | Path) -> dict[str, str]:
    """What the exporter wrote into a package: the vocabulary, if any, facts, and the seal."""
    return dict(read(path).description.metadata.userDefined)


def size(path: str | Path) -> int:
    """Bytes of all files of a package."""
    return sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())


def functions(spec: Any) -> dict[str, Function]:
    """The functions of a program by name; the only one of a plain program is `main`."""
    found = {}
    for function in spec.description.functions or [spec.description]:
        array = function.input[0].type.multiArrayType
        default = int(array.shape[-1])
        ranges = [
            (int(each.lowerBound), int(each.upperBound)) for each in array.shapeRange.sizeRanges
        ]
        found[function.name if spec.description.functions else "main"] = Function(
            tuple(feature.name for feature in function.input),
            tuple(feature.name for feature in function.output),
            *(ranges[-1] if ranges else (default, default)),
            default,
        )
    return found


def load_function(path: Path, spec: Any, name: str) -> Any:
    """One function of a package as coremltools' program; the other functions are not read.

    Raises:
        ConversionError: coremltools refuses it.
    """
    with quiet():
        from coremltools.converters.mil.frontend.milproto.load import load

    alone = type(spec)()
    alone.CopyFrom(spec)
    for other in set(alone.mlProgram.functions) - {name}:
        del alone.mlProgram.functions[other]
    weights = str((path / WEIGHTS).parent)
    try:
        program = load(alone, spec.specificationVersion, weights)
    except Exception as error:  # its errors have no common type
        raise ConversionError(
            f"cannot load {path}: {' '.join(str(error).split()) or type(error).__name__}; export "
            "it again"
        ) from error
    return program.functions[name]


def _whole(path: Path, name: str) -> bytes:
    """A file of a package that is small, unless it is damaged."""
    parts, size = [], 0
    for part in _content(path, name):
        parts.append(part)
        size += len(part)
        if size > _LARGEST_BYTES:
            raise ConversionError(
                f"{path} is damaged: {name} has more than {_LARGEST_BYTES:,} bytes; export it again"
            )
    return b"".join(parts)


def _content(path: Path, name: str) -> Iterator[bytes]:
    """A file of a package, a megabyte at a time: weights need not be held to be checked."""
    if not (path / name).is_file() and (path / name).exists():
        raise ConversionError(f"{path} is not whole: {name} is no file; export it again")
    try:
        with (path / name).open("rb") as file:
            while part := file.read(2**20):
                yield part
    except OSError as error:
        raise ConversionError(
            f"{path} is not whole: {name}: {error.strerror}; copy the whole folder or export it "
            "again"
        ) from error


def _digest(model: bytes, weights: Iterable[bytes]) -> str:
    """SHA-256 of both files, with the seal in the first of them blanked."""
    found = _SEAL.search(model)
    assert found is not None  # both callers have seen to it
    digest = hashlib.sha256(model[: found.start(1)] + _BLANK + model[found.end(1) :])
    for part in weights:
        digest.update(part)
    return digest.hexdigest()


def _manifest(seal: str) -> str:
    """The manifest of a package; its identifiers, elsewhere random, follow from the seal."""
    entries = {
        str(uuid.uuid5(uuid.NAMESPACE_OID, f"{seal} {name}")): {
            "author": "com.apple.CoreML",
            "description": description,
            "name": name,
            "path": f"com.apple.CoreML/{name}",
        }
        for name, description in (
            ("model.mlmodel", "CoreML Model Specification"),
            ("weights", "CoreML Model Weights"),
        )
    }
    document = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": entries,
        "rootModelIdentifier": next(iter(entries)),
    }
    return json.dumps(document, indent=4) + "\n"
