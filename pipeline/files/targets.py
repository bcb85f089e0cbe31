# SPDX-License-Identifier: Apache-2.0
"""The formats a student is shipped in: how each is made and checked, and what its files say.

The rest of the build treats them alike: a file is a path, a target is the name of its folder.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from converters import ConversionError
from converters.extras import install_hint
from converters.precisions import PRECISIONS
from converters.runtimes.checksums import sha256
from pipeline.config import Build, FilePrecision, Target

STEM = "student"
SUFFIXES: dict[Target, str] = {"tflite": ".tflite", "coreml": ".mlpackage", "onnx": ".onnx"}

# What files say of what nobody told.
NOT_STATED = "not stated"

# Teachers published under Apache-2.0.
_APACHE = (
    "embedded",
    *(f"google-bert/bert-{s}-{c}" for s in ("base", "large") for c in ("uncased", "cased")),
)

# What must be installed for each, and the extra that brings it.
_LIBRARIES: dict[Target, tuple[str, ...]] = {
    "tflite": ("litert_torch", "ai_edge_quantizer", "ai_edge_litert", "flatbuffers"),
    "coreml": ("coremltools",),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
}


@dataclass(frozen=True)
class FileFacts:
    """What can be said of a file without running it.

    Attributes:
        bytes: on disk; of all files, if it is a folder.
        sha256: of the file; of a Core ML package its seal, which covers every byte.
        min_runtime: the oldest release of each runtime that computes the file right.
        faults: older runtimes that open the file and go wrong without an error, and how.
    """

    bytes: int
    sha256: str
    min_runtime: dict[str, str]
    faults: dict[str, str] = field(default_factory=dict)


def path_of(folder: Path, target: Target, precision: str) -> Path:
    """Where a target's folder keeps the file of a precision."""
    return folder / f"{STEM}-{precision}{SUFFIXES[target]}"


def target_of(path: Path) -> Target:
    """The reverse of `path_of`."""
    return next(target for target, suffix in SUFFIXES.items() if suffix == path.suffix)


def precision_of(path: Path) -> FilePrecision:
    """The precision of a file that `path_of` names."""
    return cast(FilePrecision, path.stem.removeprefix(f"{STEM}-"))


def advice(target: Target) -> Mapping[str, str]:
    """What each precision of a target is for."""
    return PRECISIONS[target]


def require(target: Target) -> None:
    """Refuse a target whose libraries are missing, before hours of training.

    Raises:
        ConversionError: names the extra to install.
    """
    import importlib.util

    missing = [name for name in _LIBRARIES[target] if importlib.util.find_spec(name) is None]
    if missing:
        raise ConversionError(
            f"--target {target} needs {', '.join(missing)}: {install_hint(target)}"
        )


def make(
    target: Target, model: Any, folder: Path, build: Build, vocabulary: Path
) -> dict[str, Path]:
    """Write a student's files of one target and check them by their content.

    Args:
        target: which.
        model: the student.
        folder: to write into.
        build: for precisions, lengths and what the files say about themselves.
        vocabulary: a word piece a line, packed into files whose users look for it there.

    Returns:
        Precision -> file.

    Raises:
        ConversionError: the model cannot be converted, or a file is not what it must be.
    """
    makers = {"tflite": _tflite, "coreml": _coreml, "onnx": _onnx}
    files = {}
    for precision, (path, problems) in makers[target](model, folder, build, vocabulary).items():
        if problems:
            raise ConversionError(f"the converter made {path.name} wrong: {problems[0]}")
        files[precision] = path
    return files


def describe(path: Path) -> FileFacts:
    """What a file's content says; see `FileFacts`."""
    if path.suffix == ".mlpackage":
        from converters.coreml import package as coreml_package

        spec = coreml_package.read(path)
        seal = spec.description.metadata.userDefined[coreml_package.SEAL_KEY]
        # Specification 8 came with iOS 17 and macOS 14, and both count on.
        version = spec.specificationVersion - 8
        releases = {"iOS": f"{17 + version}", "macOS": f"{14 + version}"}
        return FileFacts(coreml_package.size(path), seal, releases)
    size, digest = path.stat().st_size, sha256(path)
    if path.suffix == ".onnx":
        from converters.onnx import file as onnx_file

        oldest = onnx_file.lowest_runtime(onnx_file.read(path))
        return FileFacts(size, digest, {"ONNX Runtime": oldest} if oldest else {})
    from converters.tflite import file as tflite_file
    from converters.tflite import versions as tflite_versions

    model = tflite_file.read(path)
    needed = tflite_versions.lowest_runtime(model)
    return FileFacts(
        size,
        digest,
        {"LiteRT": needed.litert, "TensorFlow Lite": needed.tensorflow},
        {fault.runtime: fault.fault for fault in tflite_versions.known_faults(model)},
    )


def make_baseline(target: Target, teacher: Any, folder: Path, build: Build) -> Path:
    """Write the teacher's `teacher-fp32`, which the files of a target are timed against."""
    path = folder / f"teacher-fp32{SUFFIXES[target]}"
    if target == "onnx":
        from converters.onnx.export import export_onnx

        return export_onnx(teacher, path, precision="fp32")
    if target == "coreml":
        from converters.coreml.export import export_coreml

        return export_coreml(teacher, path, precision="fp32", length=build.data.max_length)
    from converters.tflite.export import export_tflite

    return export_tflite(teacher, path, precision="fp32", length=build.data.max_length)


def can_be_timed(target: Target) -> bool:
    """Whether the format's own runtime is on this machine; Core ML's is on Apple's systems only."""
    return target != "coreml" or sys.platform == "darwin"


def license_of(teacher: str, stated: str) -> str:
    """The license of a student: the one stated, or its teacher's, if that is known; else ""."""
    return stated or ("Apache-2.0" if teacher in _APACHE else "")


def _summary(build: Build) -> str:
    return (
        "Extractive question answering: finds the answer to a question in a passage. A student of "
        f"{Path(build.teacher.model).name}, trained on {Path(build.data.train_file).name}."
    )


def _tflite(
    model: Any, folder: Path, build: Build, vocabulary: Path
) -> Mapping[str, tuple[Path, list[str]]]:
    from converters.tflite.check import check_portable
    from converters.tflite.export import export_many
    from converters.tflite.metadata import About, add_metadata

    asked = build.export
    files = export_many(
        model,
        folder,
        asked.files["tflite"],
        stem=STEM,
        length=build.data.max_length,
        static_lengths=asked.static_lengths or None,
    )
    about = About(
        "Question answering student",
        _summary(build),
        asked.model_version,
        asked.author or NOT_STATED,
        license_of(build.teacher.model, asked.license) or NOT_STATED,
    )
    for path in files.values():
        add_metadata(path, vocabulary, about)
    return {precision: (path, check_portable(path)) for precision, path in files.items()}


def _coreml(
    model: Any, folder: Path, build: Build, vocabulary: Path
) -> Mapping[str, tuple[Path, list[str]]]:
    from converters.coreml import graph as coreml_graph
    from converters.coreml.constants import compare_constants
    from converters.coreml.export import ModelCard, export_many

    asked = build.export
    card = ModelCard(
        asked.author or NOT_STATED,
        license_of(build.teacher.model, asked.license) or NOT_STATED,
        asked.model_version,
        _summary(build),
        vocabulary.read_text(encoding="utf-8"),
    )
    files = export_many(
        model,
        folder,
        asked.files["coreml"],
        stem=STEM,
        layout=asked.coreml_layout,
        form="functions" if asked.static_lengths else "flexible",
        length=build.data.max_length,
        lengths=asked.static_lengths,
        card=card,
    )
    weights = coreml_graph.weights(model, asked.coreml_layout)
    return {
        precision: (path, compare_constants(path, weights)) for precision, path in files.items()
    }


def _onnx(
    model: Any, folder: Path, build: Build, vocabulary: Path
) -> Mapping[str, tuple[Path, list[str]]]:
    from converters.onnx.check import check_portable
    from converters.onnx.export import export_many

    files = export_many(model, folder, build.export.files["onnx"], stem=STEM)
    return {precision: (path, check_portable(path)) for precision, path in files.items()}
