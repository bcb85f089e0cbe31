# SPDX-License-Identifier: Apache-2.0
"""Changes the graphs in exported files: whole tables, not bytes, so that parsers read on."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (-1, 0, 1, 7, 2**20, 2**31 - 1)


def of_tflite(data: bytes, picks: random.Random) -> bytes:
    """A .tflite file with one to three tensors, operators or buffers changed."""
    from converters.tflite import file

    model = file.parse(data)
    for _ in range(picks.choice((1, 1, 2, 3))):
        _change_tflite(model, picks)
    try:
        return file.serialize(model)
    except Exception:  # what no builder can write
        return data[: picks.randrange(len(data))]


def _change_tflite(model: Any, picks: random.Random) -> None:
    graph = model.subgraphs[0]
    tensor, operator = picks.choice(graph.tensors), picks.choice(graph.operators)
    places = (-1, 0, len(graph.tensors) - 1, len(graph.tensors), 2**31 - 1)
    kind = picks.randrange(10)
    if kind == 0:
        tensor.shape = np.full(picks.choice((0, 1, 2, 8)), picks.choice(SIZES), np.int32)
    elif kind == 1:
        tensor.shapeSignature = np.full(picks.choice((1, 2, 3)), picks.choice(SIZES), np.int32)
    elif kind == 2:
        tensor.type = picks.randrange(20)
    elif kind == 3:
        tensor.buffer = picks.choice((0, 1, len(model.buffers) - 1))
    elif kind == 4:
        some = [picks.choice((*places, picks.randrange(places[3]))) for _ in operator.inputs]
        operator.inputs = np.asarray(some, np.int32)
    elif kind == 5:
        operator.outputs = np.asarray(operator.inputs[:1], np.int32)  # leads to itself
    elif kind == 6:
        operator.opcodeIndex = picks.randrange(len(model.operatorCodes) + 1)
    elif kind == 7:
        picks.shuffle(graph.operators)
    elif kind == 8 and tensor.quantization is not None and tensor.quantization.scale is not None:
        factor = picks.choice((0.0, -1.0, float("nan"), float("inf")))
        tensor.quantization.scale = tensor.quantization.scale[: picks.randrange(3)] * factor
    else:
        held = [buffer for buffer in model.buffers if buffer.data is not None]
        buffer = picks.choice(held)
        buffer.data = buffer.data[: picks.randrange(len(buffer.data) + 1)]


def of_onnx(data: bytes, picks: random.Random) -> bytes:
    """An .onnx file with one or two nodes or weights changed."""
    import onnx

    model = onnx.ModelProto.FromString(data)
    for _ in range(picks.choice((1, 2))):
        node, weight = picks.choice(model.graph.node), picks.choice(model.graph.initializer)
        kind = picks.randrange(7)
        if kind == 0 and node.input:
            node.input[picks.randrange(len(node.input))] = picks.choice(
                [weight.name, *picks.choice(model.graph.node).output]
            )
        elif kind == 1:
            node.op_type = picks.choice(model.graph.node).op_type
        elif kind == 2 and weight.dims:
            weight.dims[picks.randrange(len(weight.dims))] = picks.choice((*SIZES, 2**40))
        elif kind == 3:
            weight.data_type = picks.randrange(24)
        elif kind == 4:
            weight.raw_data = weight.raw_data[: picks.randrange(len(weight.raw_data) + 1)]
        elif kind == 5 and node.attribute:
            picks.choice(node.attribute).i = picks.choice((*SIZES, 2**62))
        else:
            del node.output[picks.randrange(len(node.output))]
    return model.SerializeToString()


def checked_tflite(path: Path) -> object:
    """Everything that is read of a .tflite file without its runtime."""
    from converters.compat.matrix import needs_of
    from converters.tflite import check, file

    return file.describe(path), check.check_portable(path), needs_of(path)
