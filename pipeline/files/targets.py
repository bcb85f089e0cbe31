# SPDX-License-Identifier: Apache-2.0
"""The formats a student is shipped in: one object for each says all that a build asks about it.

The rest of the build treats formats alike: a file is a path, a target is the name of its folder. No
library of a format is imported before a file is made or read.
"""

from __future__ import annotations

import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast

from converters import ConversionError
from converters.extras import EXTRAS, install_hint
from converters.interface import labels_of
from converters.precisions import PRECISIONS
from converters.runtimes.checksums import sha256
from pipeline import tasks
from pipeline.config import Build, FilePrecision, Target
from pipeline.models.origin import Origin

STEM = "student"

# What files say of what nobody told.
NOT_STATED = "not stated"

# Teachers published under Apache-2.0.
_APACHE = (
    *("embedded", "sentence-transformers/all-MiniLM-L6-v2"),
    *(f"google-bert/bert-{s}-{c}" for s in ("base", "large") for c in ("uncased", "cased")),
)

# A file, and what is wrong with its content.
Checked = tuple[Path, list[str]]


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


@dataclass(frozen=True)
class Request:
    """What a target's files are made from.

    Attributes:
        model: the student.
        folder: to write into.
        build: for precisions, lengths and what the files say about themselves.
        vocabulary: a word piece a line, packed into files whose users look for it there.
        origin: what the student was made from.
        int4: what the precision `mixed` stores in int4, see `converters.tflite.mixed`.
    """

    model: Any
    folder: Path
    build: Build
    vocabulary: Path
    origin: Origin
    int4: Collection[str] = ()


class Format(ABC):
    """A format of files, which is a target of the build.

    Attributes:
        name: of the target, of its folder, and of the extra that brings its libraries.
        suffix: of its files.
        tags: of the Hugging Face Hub, for the model card.
        takes_rows: whether its files take several inputs at once, (B, S), or one, (1, S).
        has_static_lengths: whether files can be made for a few lengths alone.
        lengths_note: which runtimes do not run files that take any length; empty if all do.
    """

    name: ClassVar[Target]
    suffix: ClassVar[str]
    tags: ClassVar[tuple[str, ...]]
    takes_rows: ClassVar[bool] = False
    has_static_lengths: ClassVar[bool] = True
    lengths_note: ClassVar[str] = ""

    @property
    def libraries(self) -> tuple[str, ...]:
        """The modules that making and checking its files needs."""
        return tuple(module for module, extra in EXTRAS.items() if extra == self.name)

    @property
    def precisions(self) -> Mapping[str, str]:
        """What weights can be stored in, and what each is for."""
        return PRECISIONS[self.name]

    @property
    def runs_here(self) -> bool:
        """Whether the format's own runtime is on this machine, so that files can be timed."""
        return True

    def path(self, folder: Path, precision: str) -> Path:
        """Where a folder keeps the student's file of a precision."""
        return folder / f"{STEM}-{precision}{self.suffix}"

    def baseline(self, folder: Path, stem: str = "teacher") -> Path:
        """Where a folder keeps the model in float32 that the student's files are timed against.

        It is the teacher; without one it is the student itself.
        """
        return folder / f"{stem}-fp32{self.suffix}"

    def require(self) -> None:
        """Refuse the target if its libraries are missing, before hours of training.

        Raises:
            ConversionError: names the extra to install.
        """
        missing = [name for name in self.libraries if importlib.util.find_spec(name) is None]
        if missing:
            raise ConversionError(
                f"--target {self.name} needs {', '.join(missing)}: {install_hint(self.name)}"
            )

    def make(self, asked: Request) -> dict[str, Path]:
        """Write a student's files and check them by their content.

        Returns:
            Precision -> file.

        Raises:
            ConversionError: the model cannot be converted, or a file is not what it must be.
        """
        files = {}
        for precision, (path, problems) in self._export(asked).items():
            if problems:
                raise ConversionError(f"the converter made {path.name} wrong: {problems[0]}")
            files[precision] = path
        return files

    def make_baseline(self, model: Any, folder: Path, build: Build, stem: str) -> Path:
        """Write a model in float32, see `baseline`, and return the file."""
        path = self.baseline(folder, stem)
        self._export_baseline(model, path, build.data.max_length)
        return path

    @abstractmethod
    def describe(self, path: Path) -> FileFacts:
        """What a file's content says."""

    @abstractmethod
    def _export(self, asked: Request) -> Mapping[str, Checked]:
        """Write the file of each precision, and look for faults of the converter in it."""

    @abstractmethod
    def _export_baseline(self, teacher: Any, path: Path, length: int) -> None:
        """Write the teacher in float32; `length` is the longest input in tokens."""


class TfLite(Format):
    """LiteRT's .tflite."""

    name = "tflite"
    suffix = ".tflite"
    tags = ("tflite", "litert")
    lengths_note = (
        "LiteRT.js (as of 2.5.3) cannot resize inputs: it runs only files with fixed lengths, "
        "which --static-lengths makes."
    )

    def describe(self, path: Path) -> FileFacts:
        """See `Format.describe`."""
        from converters.tflite import file as tflite_file
        from converters.tflite import versions as tflite_versions

        model = tflite_file.read(path)
        needed = tflite_versions.lowest_runtime(model)
        return FileFacts(
            path.stat().st_size,
            sha256(path),
            {"LiteRT": needed.litert, "TensorFlow Lite": needed.tensorflow},
            {fault.runtime: fault.fault for fault in tflite_versions.known_faults(model)},
        )

    def _export(self, asked: Request) -> Mapping[str, Checked]:
        from converters.tflite.check import check_portable
        from converters.tflite.export import export_many
        from converters.tflite.metadata import About, add_metadata

        build, how = asked.build, asked.build.export
        files = export_many(
            asked.model,
            asked.folder,
            how.files[self.name],
            stem=STEM,
            length=build.data.max_length,
            static_lengths=how.static_lengths or None,
            int4=asked.int4,
        )
        about = About(
            f"{tasks.find(build.task).title.capitalize()} student",
            _summary(asked),
            how.model_version,
            how.author or NOT_STATED,
            how.license or asked.origin.license or NOT_STATED,
        )
        for path in files.values():
            add_metadata(path, asked.vocabulary, about, labels_of(asked.model))
        return {precision: (path, check_portable(path)) for precision, path in files.items()}

    def _export_baseline(self, teacher: Any, path: Path, length: int) -> None:
        from converters.tflite.export import export_tflite

        export_tflite(teacher, path, precision="fp32", length=length)


class CoreMl(Format):
    """Core ML's .mlpackage, a folder; Apple's systems alone can run it."""

    name = "coreml"
    suffix = ".mlpackage"
    tags = ("coreml",)

    @property
    def runs_here(self) -> bool:
        """See `Format.runs_here`."""
        return sys.platform == "darwin"

    def describe(self, path: Path) -> FileFacts:
        """See `Format.describe`."""
        from converters.coreml import package as coreml_package

        spec = coreml_package.read(path)
        seal = spec.description.metadata.userDefined[coreml_package.SEAL_KEY]
        # Specification 8 came with iOS 17 and macOS 14, and both count on.
        version = spec.specificationVersion - 8
        releases = {"iOS": f"{17 + version}", "macOS": f"{14 + version}"}
        return FileFacts(coreml_package.size(path), seal, releases)

    def _export(self, asked: Request) -> Mapping[str, Checked]:
        from converters.coreml import graph as coreml_graph
        from converters.coreml.constants import compare_constants
        from converters.coreml.export import ModelCard, export_many

        how = asked.build.export
        card = ModelCard(
            how.author or NOT_STATED,
            how.license or asked.origin.license or NOT_STATED,
            how.model_version,
            _summary(asked),
            asked.vocabulary.read_text(encoding="utf-8"),
            {"labels": "\n".join(labels)} if (labels := labels_of(asked.model)) else {},
        )
        files = export_many(
            asked.model,
            asked.folder,
            how.files[self.name],
            stem=STEM,
            layout=how.coreml_layout,
            form="functions" if how.static_lengths else "flexible",
            length=asked.build.data.max_length,
            lengths=how.static_lengths,
            card=card,
        )
        weights = coreml_graph.weights(asked.model, how.coreml_layout)
        return {
            precision: (path, compare_constants(path, weights)) for precision, path in files.items()
        }

    def _export_baseline(self, teacher: Any, path: Path, length: int) -> None:
        from converters.coreml.export import export_coreml

        export_coreml(teacher, path, precision="fp32", length=length)


class Onnx(Format):
    """ONNX Runtime's .onnx."""

    name = "onnx"
    suffix = ".onnx"
    tags = ("onnx",)
    takes_rows = True
    has_static_lengths = False

    def describe(self, path: Path) -> FileFacts:
        """See `Format.describe`."""
        from converters.onnx import file as onnx_file

        oldest = onnx_file.lowest_runtime(onnx_file.read(path))
        runtimes = {"ONNX Runtime": oldest} if oldest else {}
        return FileFacts(path.stat().st_size, sha256(path), runtimes)

    def _export(self, asked: Request) -> Mapping[str, Checked]:
        from converters.onnx.check import check_portable
        from converters.onnx.export import export_many

        precisions = asked.build.export.files[self.name]
        files = export_many(asked.model, asked.folder, precisions, stem=STEM)
        return {precision: (path, check_portable(path)) for precision, path in files.items()}

    def _export_baseline(self, teacher: Any, path: Path, length: int) -> None:
        from converters.onnx.export import export_onnx

        export_onnx(teacher, path, precision="fp32")


FORMATS: Mapping[Target, Format] = {each.name: each for each in (TfLite(), CoreMl(), Onnx())}
BY_SUFFIX: Mapping[str, Format] = {each.suffix: each for each in FORMATS.values()}


def format_of(path: Path) -> Format:
    """The format of a student's or teacher's file, by its suffix."""
    return BY_SUFFIX[path.suffix]


def precision_of(path: Path) -> FilePrecision:
    """The precision of a file that `Format.path` names."""
    return cast(FilePrecision, path.stem.removeprefix(f"{STEM}-"))


def license_of(teacher: str, stated: str) -> str:
    """The license of a student: the one stated, or its teacher's, if that is known; else ""."""
    return stated or ("Apache-2.0" if teacher in _APACHE else "")


def _summary(asked: Request) -> str:
    return f"{tasks.find(asked.build.task).summary} {asked.origin.made_from}"
