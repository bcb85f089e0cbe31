# SPDX-License-Identifier: Apache-2.0
"""A question answering model to one .tflite file that runs at every length, in any precision."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import nn

from converters import INPUTS, SIGNATURE, ConversionError, tflite_file
from converters.mobile_graph import MobileQuestionAnswering
from converters.quantize import check_precision, quantize


def export_tflite(
    model: nn.Module, path: str | Path, *, precision: str = "int8", length: int = 384
) -> Path:
    """Convert a Hugging Face question answering model to one .tflite file.

    Args:
        model: a DistilBertForQuestionAnswering or BertForQuestionAnswering; it is not changed.
        path: the file to write; its folder is made.
        precision: a key of `converters.quantize.PRECISIONS`.
        length: the sequence length that a runtime starts with; it can resize to any other.

    Returns:
        The path of the file.

    Raises:
        ConversionError: the model, the precision or the length is not supported.
    """
    check_precision(precision)
    return _write(_float_graph(model, length), precision, Path(path))


def export_many(
    model: nn.Module,
    folder: str | Path,
    precisions: Iterable[str],
    *,
    stem: str = "student",
    length: int = 384,
) -> dict[str, Path]:
    """Convert a model once and write `{stem}-{precision}.tflite` for each precision.

    Arguments and errors are those of `export_tflite`.

    Returns:
        Precision -> path of its file, in the order given.
    """
    precisions = list(dict.fromkeys(precisions))
    for precision in precisions:
        check_precision(precision)
    float_graph = _float_graph(model, length)
    return {
        precision: _write(float_graph, precision, Path(folder) / f"{stem}-{precision}.tflite")
        for precision in precisions
    }


def _float_graph(model: nn.Module, length: int) -> bytes:
    """Trace, convert, make resizable and name the float graph."""
    graph = MobileQuestionAnswering(model)
    if not 1 <= length <= graph.max_length:
        raise ConversionError(
            f"length {length} is not possible: the model has positions for 1 to {graph.max_length}"
        )
    traced_length = _unmistakable_length(graph)
    tflite = tflite_file.parse(_convert(graph, traced_length), "the converter's output")
    tflite_file.name_interface(tflite)
    tflite_file.make_resizable(tflite, traced_length, length)
    return tflite_file.serialize(tflite)


def _write(float_graph: bytes, precision: str, path: Path) -> Path:
    with _quiet():
        quantized = quantize(float_graph, precision)
    return tflite_file.write(tflite_file.parse(quantized, str(path)), path)


def _unmistakable_length(graph: MobileQuestionAnswering) -> int:
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


def _convert(graph: MobileQuestionAnswering, length: int) -> bytes:
    """The graph at a fixed length as float .tflite, as the converter makes it."""
    example = {name: torch.ones(1, length, dtype=torch.int32) for name in INPUTS}
    with _quiet():
        import litert_torch  # late: it takes seconds, and it is what makes the noise

        converted = litert_torch.signature(SIGNATURE, graph, sample_kwargs=example).convert()
        return bytes(converted.model_content())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what the converters print, from Python and from C++; show it if they fail."""
    with contextlib.ExitStack() as stack:
        noise = stack.enter_context(tempfile.TemporaryFile("w+", errors="replace"))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(contextlib.redirect_stdout(noise))
        stack.enter_context(contextlib.redirect_stderr(noise))
        for descriptor in (1, 2):
            kept = os.dup(descriptor)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, descriptor)
            os.dup2(noise.fileno(), descriptor)
        try:
            yield
        except BaseException:
            noise.seek(0)
            report = noise.read()
            stack.close()
            sys.stderr.write(report)
            raise
