# SPDX-License-Identifier: Apache-2.0
"""Tiny models as Core ML packages, each made once a run when a test first asks for it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from export_fixtures import Window, tiny_model
from numpy.typing import NDArray

from converters.coreml import package as coreml_package
from converters.coreml.constants import is_constant, unpack
from converters.coreml.export import ModelCard, _Source, export_coreml
from converters.coreml.graph import restate
from converters.coreml.program import CoreMlProgram
from converters.interface import INPUTS, SPANS
from converters.precisions import COREML

LENGTHS = (16, 48)
VOCABULARY = "[PAD]\n[UNK]\nnaïve\n東\n"
CARD = ModelCard(
    author="an author",
    license="a licence",
    version="7",
    vocabulary=VOCABULARY,
    facts={"lower_case": "true", "limits": '{"stride": 128}'},
)

_folder = tempfile.TemporaryDirectory(prefix="tiny-packages-")


@cache
def model(kind: str) -> Any:
    """A tiny model whose matrices are large enough to be compressed: dimension 64."""
    if kind == "bert":
        return tiny_model(kind, hidden_size=64, intermediate_size=128, num_hidden_layers=2)
    return tiny_model(kind, dim=64, hidden_dim=128)


@cache
def package(kind: str, precision: str, form: str = "flexible", layout: str = "plain") -> Path:
    """The package of a tiny model; do not change it."""
    path = Path(_folder.name) / f"{kind}-{precision}-{form}-{layout}.mlpackage"
    if (kind, form, layout) == ("distilbert", "flexible", "plain"):
        return _source().write(precision, path, Path(_folder.name))
    return export_coreml(
        model(kind),
        path,
        precision=precision,
        form=form,
        layout=layout,
        lengths=LENGTHS,
        card=CARD,
    )


@cache
def _source() -> _Source:
    """One model for packages in every precision: it is traced once, which takes seconds."""
    return _Source(model("distilbert"), COREML, "flexible", "plain", 384, LENGTHS, CARD)


@cache
def opened(kind: str, precision: str, form: str = "flexible", layout: str = "plain") -> Any:
    """The package of a tiny model, ready to evaluate."""
    return CoreMlProgram(package(kind, precision, form, layout))


@cache
def as_stored(kind: str, precision: str, form: str = "flexible", layout: str = "plain") -> Any:
    """The graph in PyTorch, float32, with the weights that a package holds, unpacked."""
    graph, program = restate(model(kind), layout), opened(kind, precision, form, layout)
    outputs = [op.outputs[0] for op in program._function(program.default).operations]
    held = {
        variable.name.removesuffix("_quantized").removesuffix("_palettized"): variable.op
        for variable in outputs
        if is_constant(variable.op)
    }
    found = 0
    for name, weight in graph.state_dict().items():
        stem = "_" + name.replace(".", "_")
        for prefix, suffix in product("pb", ("", "_to_fp16")):
            operation = held.get(prefix + stem + suffix)
            if operation is not None and operation.outputs[0].shape == weight.shape:
                weight.copy_(torch.from_numpy(unpack(operation).values.astype(np.float32)))
                found += weight.numel()
    assert found > 0.99 * sum(weight.numel() for weight in graph.state_dict().values())
    return graph


def evaluate(
    program: CoreMlProgram, inputs: Window, function: str | None = None
) -> NDArray[np.float32]:
    """Start and end logits of a package, float32 (2, S)."""
    found = program.run(dict(zip(INPUTS, inputs, strict=True)), function)
    return np.concatenate([found[name] for name in SPANS.names])


def damaged(source: Path, folder: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    """A copy of a package in `folder`, one of its files changed."""
    copy = folder / source.name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy)
    (copy / name).write_bytes(change((copy / name).read_bytes()))
    return copy


def resealed(source: Path, folder: Path, change: Callable[[bytes], bytes]) -> Path:
    """A package whose weights were changed before it was sealed: as if the converter had erred."""
    weights = (source / coreml_package.WEIGHTS).read_bytes()
    return coreml_package.write(
        coreml_package.read(source), change(weights), folder / "resealed.mlpackage"
    )


def flip(place: int, bits: int) -> Callable[[bytes], bytes]:
    """Turn bits of the byte at `place`."""

    def change(content: bytes) -> bytes:
        return content[:place] + bytes([content[place] ^ bits]) + content[place + 1 :]

    return change
