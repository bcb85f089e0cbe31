# SPDX-License-Identifier: Apache-2.0
"""A model with a head to one .tflite file, for every length or a few, in any precision.

    export_tflite(model, "student-int8.tflite")
    export_tflite(model, "student-fp16.tflite", precision="fp16", static_lengths=(64, 128, 384))

The first file resizes, which suits CPUs; the second has fixed shapes, for GPU and NPU delegates.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import torch
from torch import nn

from converters import ConversionError
from converters.graphs.mobile import MobileGraph
from converters.interface import INPUTS
from converters.precisions import TFLITE, check_precision
from converters.quiet import quiet
from converters.tflite import file as tflite_file
from converters.tflite import signatures as tflite_signatures
from converters.tflite.quantize import quantize


def export_tflite(
    model: nn.Module,
    path: str | Path,
    *,
    precision: str = "int8",
    length: int = 384,
    static_lengths: Iterable[int] | None = None,
    int4: Collection[str] | None = None,
) -> Path:
    """Convert a Hugging Face model to one .tflite file.

    Args:
        model: a DistilBERT or BERT with a head of `converters.interface`; it is not changed.
        path: the file to write; its folder is made.
        precision: a key of `converters.precisions.TFLITE`.
        length: the sequence length that a runtime starts with; it can resize to any other.
        static_lengths: makes a file of fixed shapes instead, which GPU and NPU delegates want: a
            signature `length_64` and so on for each, on shared weights; `length` plays no part.
            The longest is the first graph and also answers to the name of the only signature of a
            file that resizes. On a CPU such a file takes more memory: XNNPACK packs the weights
            for each signature.
        int4: what "mixed" stores in int4: names of `converters.tflite.mixed.group_names`.

    Returns:
        The path of the file.

    Raises:
        ConversionError: the model, the precision, the length or a group is not supported.
    """
    check_precision(precision, TFLITE)
    lengths = None if static_lengths is None else sorted(set(static_lengths))
    return _write(_float_graph(model, length, lengths), precision, Path(path), lengths, int4)


def export_many(
    model: nn.Module,
    folder: str | Path,
    precisions: Iterable[str],
    *,
    stem: str = "student",
    length: int = 384,
    static_lengths: Iterable[int] | None = None,
    int4: Collection[str] | None = None,
) -> dict[str, Path]:
    """Convert a model once and write `{stem}-{precision}.tflite` for each precision.

    Arguments and errors are those of `export_tflite`.

    Returns:
        Precision -> path of its file, in the order given.
    """
    precisions = list(dict.fromkeys(precisions))
    for precision in precisions:
        check_precision(precision, TFLITE)
    lengths = None if static_lengths is None else sorted(set(static_lengths))
    float_graph = _float_graph(model, length, lengths)
    return {
        precision: _write(
            float_graph, precision, Path(folder) / f"{stem}-{precision}.tflite", lengths, int4
        )
        for precision in precisions
    }


def _float_graph(model: nn.Module, length: int, static_lengths: list[int] | None) -> bytes:
    """Trace, convert, make resizable and name the float graph, if it can take the lengths."""
    graph = MobileGraph(model)
    lengths = [length] if static_lengths is None else static_lengths
    if not lengths or lengths[0] < 1 or lengths[-1] > graph.max_length:
        raise ConversionError(
            f"length {', '.join(map(str, lengths)) or 'none'} is not possible: the model has "
            f"positions for 1 to {graph.max_length}; choose lengths within"
        )
    traced_length = _unmistakable_length(graph)
    tflite = tflite_file.parse(_convert(graph, traced_length), "the converter's output")
    tflite_signatures.name_interface(tflite, graph.interface)
    tflite_signatures.make_resizable(tflite, traced_length, lengths[-1])
    return tflite_file.serialize(tflite)


def _write(
    float_graph: bytes,
    precision: str,
    path: Path,
    static_lengths: list[int] | None = None,
    int4: Collection[str] | None = None,
) -> Path:
    with quiet():
        quantized = quantize(float_graph, precision, int4)
        if static_lengths is None:
            tflite = tflite_file.parse(quantized, str(path))
        else:
            tflite = tflite_signatures.fix_lengths(quantized, static_lengths)
    tflite_file.round_inputs_as_litert(tflite)
    return tflite_file.write(tflite, path)


def _unmistakable_length(graph: MobileGraph) -> int:
    """The longest length of which no dimension of the model is a multiple.

    A student of dimension 384 traced at 384 tokens would leave constants in which the sequence
    cannot be told from the hidden states.
    """
    dims = {dim for weight in graph.parameters() for dim in weight.shape}
    for length in range(graph.max_length, 1, -1):
        if all(dim % length for dim in dims):
            return length
    raise ConversionError(
        f"every length up to {graph.max_length} divides a dimension of the model: "
        "raise max_position_embeddings"
    )


def _convert(graph: MobileGraph, length: int) -> bytes:
    """The graph at a fixed length as float .tflite, as the converter makes it."""
    example = {name: torch.ones(1, length, dtype=torch.int32) for name in INPUTS}
    with quiet():
        import litert_torch  # late: it takes seconds, and it is what makes the noise

        converted = litert_torch.signature(
            graph.interface.signature, graph, sample_kwargs=example
        ).convert()
        return bytes(converted.model_content())
