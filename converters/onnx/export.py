# SPDX-License-Identifier: Apache-2.0
"""A model with a head to one .onnx file for every batch size and length, in any precision.

Inputs and outputs are those of `converters.interface`: int32 like the other targets, where Hugging
Face's exporters take int64, so that an app feeds every file the same arrays.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import onnx
import torch
from torch import nn

from converters.graphs.batch import BatchGraph
from converters.interface import INPUTS
from converters.onnx import file as onnx_file
from converters.onnx.precision import to_precision
from converters.precisions import ONNX, check_precision
from converters.quiet import quiet

OPSET = 18
# The oldest that holds this opset; the exporter's own choice, 10, would shut out ONNX Runtime
# 1.14 to 1.17.
IR_VERSION = 8

# Traced with two of everything or more: a dimension of 1 would be taken for a constant.
_TRACED = (2, 2)


def export_onnx(model: nn.Module, path: str | Path, *, precision: str = "int8") -> Path:
    """Convert a Hugging Face model to one .onnx file.

    Args:
        model: a DistilBERT or BERT with a head of `converters.interface`; it is not changed.
        path: the file to write; its folder is made.
        precision: a key of `converters.precisions.ONNX`.

    Returns:
        The path of the file.

    Raises:
        ConversionError: the model or the precision is not supported, or the file would be larger
            than the 2 GB that one ONNX file can hold.
    """
    check_precision(precision, ONNX)
    return _write(*_float_model(model), precision, Path(path))


def export_many(
    model: nn.Module, folder: str | Path, precisions: Iterable[str], *, stem: str = "student"
) -> dict[str, Path]:
    """Convert a model once and write `{stem}-{precision}.onnx` for each precision.

    Arguments and errors are those of `export_onnx`.

    Returns:
        Precision -> path of its file, in the order given.
    """
    precisions = list(dict.fromkeys(precisions))
    for precision in precisions:
        check_precision(precision, ONNX)
    float_model, max_length = _float_model(model)
    return {
        precision: _write(
            float_model, max_length, precision, Path(folder) / f"{stem}-{precision}.onnx"
        )
        for precision in precisions
    }


def _float_model(model: nn.Module) -> tuple[onnx.ModelProto, int]:
    """Trace and convert, both dimensions open; also the largest length."""
    graph = BatchGraph(model)
    example = {name: torch.ones(_TRACED, dtype=torch.int32) for name in INPUTS}
    open_dims = {
        0: torch.export.Dim("batch"),
        1: torch.export.Dim("length", max=graph.max_length),
    }
    with quiet():
        program = torch.onnx.export(
            graph,
            kwargs=example,
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=dict.fromkeys(INPUTS, open_dims),
            input_names=INPUTS,
            output_names=graph.interface.names,
            external_data=False,
            verbose=False,
        )
    assert program is not None  # None is for exports to a file
    exported = program.model_proto
    exported.ir_version = IR_VERSION
    onnx_file.strip_notes(exported)
    return exported, graph.max_length


def _write(float_model: onnx.ModelProto, max_length: int, precision: str, path: Path) -> Path:
    changed = to_precision(float_model, precision)
    onnx_file.share_equal_weights(changed)
    onnx_file.describe_in_metadata(changed, precision=precision, max_length=max_length)
    return onnx_file.write(changed, path)
