# SPDX-License-Identifier: Apache-2.0
"""A model with a head to a Core ML package (ML Program), in any precision.

    export_coreml(model, "student-fp16.mlpackage", precision="fp16", form="functions")

Core ML runs on Apple's systems only; `coreml_program.py` evaluates a saved package on any machine.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from converters import ConversionError
from converters.coreml import package as coreml_package
from converters.coreml.graph import restate
from converters.graphs.mobile import MobileGraph
from converters.interface import INPUTS, MASK_BIAS, Interface
from converters.precisions import COREML
from converters.quiet import quiet

FORMS = {
    "flexible": "one function for every length; iOS 17 (iOS 18 with int4)",
    "functions": "one function for each of a few lengths, weights shared, which the Neural Engine "
    "prefers; iOS 18",
}
LENGTHS = (64, 128, 256, 384)

# int4 weights share a scale in blocks of this many inputs.
BLOCK = 32

# Entries of a 6-bit palette.
PALETTE = 64
# Eight for each entry: the error is within 0.3 % of that of twice as many, in a fifth of the time.
_CELLS = 512

# Reading a weight of two dimensions in fewer bits pays from here on; coremltools' own threshold.
SMALLEST_COMPRESSED = 2048


@dataclass(frozen=True)
class ModelCard:
    """What a package says about itself; Xcode shows the first four.

    Attributes:
        author, license, version, summary: free text; an empty summary becomes the interface's.
        vocabulary: one word piece a line, in the order of their ids.
        facts: whatever an app needs beside it, as text.
    """

    author: str = "distilbert-mobile"
    license: str = "Apache-2.0"
    version: str = "1"
    summary: str = ""
    vocabulary: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


def export_coreml(
    model: nn.Module,
    path: str | Path,
    *,
    precision: str = "fp16",
    form: str = "flexible",
    layout: str = "plain",
    length: int = 384,
    lengths: Sequence[int] = LENGTHS,
    card: ModelCard | None = None,
) -> Path:
    """Convert a Hugging Face model to one package.

    Args:
        model: a DistilBERT or BERT with a head of `converters.interface`; it is not changed.
        path: the package to write, ending in .mlpackage; its folder is made.
        precision: a key of `converters.precisions.COREML`.
        form: a key of `FORMS`.
        layout: a key of `coreml_graph.LAYOUTS`.
        length: the default of the flexible form.
        lengths: of the functions, named `length_64` and so on; the longest is the default.
        card: the package's metadata.

    Returns:
        The path of the package.

    Raises:
        ConversionError: the model, or one of the choices, is not supported.
    """
    source = _Source(model, [precision], form, layout, length, lengths, card or ModelCard())
    with _scratch() as scratch:
        return source.write(precision, Path(path), scratch)


def export_many(
    model: nn.Module,
    folder: str | Path,
    precisions: Iterable[str],
    *,
    stem: str = "student",
    form: str = "flexible",
    layout: str = "plain",
    length: int = 384,
    lengths: Sequence[int] = LENGTHS,
    card: ModelCard | None = None,
) -> dict[str, Path]:
    """Trace a model once and write `{stem}-{precision}.mlpackage` for each precision.

    Arguments and errors are those of `export_coreml`.

    Returns:
        Precision -> path of its package, in the order given.
    """
    precisions = list(dict.fromkeys(precisions))
    source = _Source(model, precisions, form, layout, length, lengths, card or ModelCard())
    with _scratch() as scratch:
        return {
            precision: source.write(
                precision, Path(folder) / f"{stem}-{precision}{coreml_package.SUFFIX}", scratch
            )
            for precision in precisions
        }


class _Source:
    """A traced model and what every package of it has in common."""

    def __init__(
        self,
        model: nn.Module,
        precisions: Iterable[str],
        form: str,
        layout: str,
        length: int,
        lengths: Sequence[int],
        card: ModelCard,
    ) -> None:
        for kind, chosen, known in (
            *(("precision", precision, COREML) for precision in precisions),
            ("form", form, FORMS),
        ):
            if chosen not in known:
                raise ConversionError(f"unknown {kind} {chosen!r}: choose from {', '.join(known)}")
        taken = {coreml_package.VOCABULARY_KEY, coreml_package.SEAL_KEY} & set(card.facts)
        if taken:
            raise ConversionError(f"a fact cannot be called {taken.pop()!r}: rename it")
        graph = restate(model, layout)
        self.lengths = sorted(set(lengths)) if form == "functions" else [length]
        if not self.lengths or self.lengths[0] < 1 or self.lengths[-1] > graph.max_length:
            raise ConversionError(
                f"length {', '.join(map(str, self.lengths)) or 'none'} is not possible: the model "
                f"has positions for 1 to {graph.max_length}"
            )
        if "int4" in precisions and any(
            weight.shape[1] % BLOCK
            for weight in graph.parameters()
            if weight.dim() > 1 and weight.numel() > SMALLEST_COMPRESSED
        ):
            raise ConversionError(
                f"int4 needs hidden and feed-forward sizes that are multiples of {BLOCK}: choose "
                "int8"
            )
        self.form, self.card, self.max_length = form, card, graph.max_length
        self.interface = graph.interface
        self.exported = _trace(graph)
        self._converted: dict[tuple[bool, bool, int | None], Any] = {}

    def write(self, precision: str, path: Path, scratch: Path) -> Path:
        """Convert, compress and write one package; what is shared lies in `scratch` until then."""
        with quiet():
            if self.form == "functions":
                package = _functions(
                    {
                        f"length_{length}": _compress(self._convert(precision, length), precision)
                        for length in self.lengths
                    },
                    scratch / f"functions-{precision}.mlpackage",
                )
            else:
                package = _compress(self._convert(precision), precision)
            spec = package.get_spec()
            weights = (Path(package.weights_dir) / "weight.bin").read_bytes()
        _describe(spec, self.card, self.interface)
        return coreml_package.write(spec, weights, path)

    def _convert(self, precision: str, length: int | None = None) -> Any:
        """The float program in the precision that it computes in, at one length or at all.

        Precisions that differ in how weights are stored share one.
        """
        recent = self.form == "functions" or precision == "int4"
        key = (precision == "fp32", recent, length)
        if key not in self._converted:
            self._converted[key] = self._fresh(*key)
        return self._converted[key]

    def _fresh(self, is_fp32: bool, is_recent: bool, length: int | None) -> Any:
        import coremltools as ct  # late: it takes seconds

        # One range for all three inputs, or their lengths could differ.
        size = length or ct.RangeDim(1, self.max_length, default=self.lengths[-1])
        return ct.convert(
            self.exported,
            inputs=[ct.TensorType(name, (1, size), dtype=np.int32) for name in INPUTS],
            outputs=[ct.TensorType(name, dtype=np.float32) for name in self.interface.names],
            convert_to="mlprogram",
            minimum_deployment_target=ct.target.iOS18 if is_recent else ct.target.iOS17,
            compute_precision=ct.precision.FLOAT32 if is_fp32 else ct.precision.FLOAT16,
            skip_model_load=True,
        )


def _trace(graph: MobileGraph) -> Any:
    """The graph as an exported program whose length is free."""
    length = torch.export.Dim("length", min=1, max=graph.max_length)
    # Lengths 0 and 1 would be taken for constants in the example.
    example = {name: torch.ones(1, min(2, graph.max_length), dtype=torch.int32) for name in INPUTS}
    with quiet():
        exported = torch.export.export(
            graph, (), example, dynamic_shapes={name: {1: length} for name in INPUTS}
        )
        return exported.run_decompositions({})


def _compress(package: Any, precision: str) -> Any:
    """Store the weights of a float package in fewer bits; see `converters.precisions.COREML`."""
    from coremltools.optimize import coreml as optimize

    if precision == "palette6":
        table = optimize.OpPalettizerConfig(
            mode="custom", lut_function=_palette, weight_threshold=SMALLEST_COMPRESSED
        )
        return optimize.palettize_weights(package, optimize.OptimizationConfig(table))
    if precision in ("int8", "int4"):
        blocks = {"granularity": "per_block", "block_size": BLOCK}
        linear = optimize.OpLinearQuantizerConfig(
            mode="linear_symmetric",
            dtype=precision,
            weight_threshold=SMALLEST_COMPRESSED,
            **(blocks if precision == "int4" else {"granularity": "per_channel"}),
        )
        return optimize.linear_quantize_weights(package, optimize.OptimizationConfig(linear))
    return package


def _palette(weight: NDArray[np.float16]) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
    """Cluster the values of a weight by k-means in one dimension.

    There are only 65,536 halves: counting each makes it a matter of milliseconds, and no part of it
    is random.

    Returns:
        The palette, ascending, fp16 (64,), and for each value the nearest entry, uint8 (N,).
    """
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    counts = np.bincount(weight.view(np.uint16).ravel(), minlength=len(halves))
    used = np.flatnonzero(counts)
    used = used[np.argsort(halves[used], kind="stable")]
    values = halves[used].astype(np.float64)
    if len(values) <= PALETTE:
        palette = np.pad(values, (0, PALETTE - len(values)), "edge").astype(np.float16)
    else:
        palette = _centers(values, counts[used]).astype(np.float16)
    wide = palette.astype(np.float64)
    codes = np.zeros(len(halves), np.uint8)
    codes[used] = np.searchsorted((wide[1:] + wide[:-1]) / 2, values)
    return palette, codes[weight.view(np.uint16).ravel()]


def _centers(values: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """The centers of `PALETTE` clusters of more values than that, ascending, each counted.

    In one dimension clusters are intervals, and dynamic programming finds the best of all ways to
    cut (Wang and Song 2011): here along the borders of `_CELLS` cells, which k-means proper (Lloyd
    1982) then moves value by value. Lloyd's steps alone stop at what they are started from: with a
    few weights far out, at three times the error.
    """
    # What lies between two cuts is a difference of these.
    count, total = (np.concatenate([[0.0], np.cumsum(part)]) for part in (counts, counts * values))
    if len(values) <= _CELLS:
        cuts = np.arange(len(values) + 1)
    else:
        # Half of the cells as dense as the best centers are, the cube root of the density (Panter
        # and Dite 1951), one at most for a gap; and half by rank.
        mass = np.cbrt(np.diff(values) ** 2 * (counts[1:] + counts[:-1]))
        mass = np.cumsum(np.minimum(mass, mass.sum() / (_CELLS // 2)))
        place = np.concatenate([[0.0], mass / mass[-1]]) + np.linspace(0, 1, len(values))
        inner = np.searchsorted(place, np.linspace(0, 2, _CELLS + 1)[1:-1])
        cuts = np.unique([0, *inner, len(values)])
    # The error of a cluster is its sum of squares, which stays, less this, by its end and begin.
    inside, moment = (part[cuts][:, None] - part[cuts] for part in (count, total))
    gain = np.where(inside > 0, moment**2 / np.maximum(inside, 1), -np.inf)
    best, begins = gain[:, 0], []
    for _ in range(PALETTE - 1):
        reached = best + gain
        begins.append(reached.argmax(1))
        best = reached.max(1)
    ends = [len(cuts) - 1]
    for begin in reversed(begins):
        ends.append(int(begin[ends[-1]]))
    borders = cuts[[0, *reversed(ends)]]
    centers = np.diff(total[borders]) / np.diff(count[borders])
    for _ in range(1000):  # tens are needed
        inner = np.searchsorted(values, (centers[1:] + centers[:-1]) / 2)
        borders = np.concatenate([[0], inner, [len(values)]])
        held = np.diff(count[borders])
        moved = np.where(held > 0, np.diff(total[borders]) / np.maximum(held, 1), centers)
        if np.array_equal(moved, centers):
            break
        centers = moved
    return centers


def _functions(packages: Mapping[str, Any], path: Path) -> Any:
    """One package with a function for each of several; equal weights are stored once."""
    import coremltools as ct

    joined = ct.utils.MultiFunctionDescriptor()
    for name, package in packages.items():
        joined.add_function(package.package_path, "main", name)
        joined.default_function_name = name  # the longest comes last
    ct.utils.save_multifunction(joined, str(path))
    return ct.models.MLModel(str(path), skip_model_load=True)


def _describe(spec: Any, card: ModelCard, interface: Interface) -> None:
    """Write the card and what each input and output means into a program."""
    description = spec.description
    about = description.metadata
    about.author, about.license, about.versionString = card.author, card.license, card.version
    about.shortDescription = card.summary or interface.summary
    about.userDefined.update(card.facts)
    if card.vocabulary is not None:
        about.userDefined[coreml_package.VOCABULARY_KEY] = card.vocabulary
    meanings = _meanings(interface)
    for function in description.functions or [description]:
        for feature in (*function.input, *function.output):
            feature.shortDescription = meanings[feature.name]


def _meanings(interface: Interface) -> dict[str, str]:
    """What each tensor means, with its type and shape, by name."""
    meanings = {
        name: f"{text.rstrip('.')}; int32 (1, S)." for name, text in interface.inputs.items()
    }
    for output in interface.outputs:
        shape = f"(1, S), {MASK_BIAS:g} at padding" if output.axis == "token" else "(1, C)"
        meanings[output.name] = f"{output.meaning.rstrip('.')}; float32 {shape}."
    return meanings


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for all that coremltools writes; it would keep every step until the process ends."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="coreml-") as folder:
        tempfile.tempdir = folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before
