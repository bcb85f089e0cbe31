# SPDX-License-Identifier: Apache-2.0
"""Refuses a .tflite file that stands for far more than it holds, before it is parsed.

In a flatbuffer any number of references may lead to one table, and those of that table to others:
a megabyte can stand for a billion tensors.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final

from ai_edge_litert import schema_py_generated as schema

# A graph of an encoder has some 2,000 tensors and operators; there may be one for each length.
MOST_TABLES: Final = 200_000
MOST_TEXT: Final = 64 * 2**20  # bytes of all names
MOST_SHARED: Final = 8  # times the size of the file, of all buffers


def check(data: bytes) -> None:
    """Count what parsing a file would make.

    Args:
        data: of a file with the identifier of .tflite.

    Raises:
        ValueError: it has more tables or longer names than any file of a model.
        Exception: whatever the generated classes raise for damage.
    """
    tables = text = 0
    for more, longer in _found(schema.Model.GetRootAs(data, 0)):
        tables, text = tables + more, text + longer
        if tables > MOST_TABLES:
            raise ValueError(f"more than {MOST_TABLES:,} tensors and operators")
        if text > MOST_TEXT:
            raise ValueError(f"names of more than {MOST_TEXT:,} bytes")


def check_buffers(buffers: Any, size: int) -> None:
    """Count the bytes of parsed buffers, which may lie over one another.

    Raises:
        ValueError: they are many times those of the file.
    """
    if sum(len(buffer.data) for buffer in buffers if buffer.data is not None) > MOST_SHARED * size:
        raise ValueError("buffers that lie over one another")


def _found(model: Any) -> Iterator[tuple[int, int]]:
    """How many tables each part of a file has, and the bytes of its name."""
    yield model.BuffersLength() + model.OperatorCodesLength() + model.MetadataLength(), 0
    for code in _each(model.OperatorCodes, model.OperatorCodesLength()):
        yield 0, len(code.CustomCode() or b"")
    for entry in _each(model.Metadata, model.MetadataLength()):
        yield 0, len(entry.Name() or b"")
    for graph in _each(model.Subgraphs, model.SubgraphsLength()):
        yield 1 + graph.OperatorsLength(), len(graph.Name() or b"")
        for tensor in _each(graph.Tensors, graph.TensorsLength()):
            inner = tensor.VariantTensorsLength()
            if sparsity := tensor.Sparsity():
                inner += sparsity.DimMetadataLength()
            yield 1 + inner, len(tensor.Name() or b"")
    for signature in _each(model.SignatureDefs, model.SignatureDefsLength()):
        yield 1, len(signature.SignatureKey() or b"")
        inputs = _each(signature.Inputs, signature.InputsLength())
        for entry in itertools.chain(inputs, _each(signature.Outputs, signature.OutputsLength())):
            yield 1, len(entry.Name() or b"")


def _each(get: Callable[[int], Any], count: int) -> Iterator[Any]:
    return (get(place) for place in range(count))
