# SPDX-License-Identifier: Apache-2.0
"""Rewrites one of our .onnx files in the form that optimum and transformers.js load from the Hub.

Both libraries know a file by its name in the folder `onnx/` and feed it int64 arrays under Hugging
Face's names. The weights and the operators stay as they are, so the results are bit for bit those
of our own file; only the inputs are renamed, and cast to the int32 that the graph computes with.
"""

from __future__ import annotations

from pathlib import Path

from onnx import ModelProto, TensorProto, helper

from converters import ConversionError
from converters.interface import INPUTS
from converters.onnx import file as onnx_file
from converters.onnx.file import nodes_of

# Our name of an input -> Hugging Face's.
INPUT_NAMES = dict(
    zip(INPUTS, ("input_ids", "attention_mask", "token_type_ids"), strict=True),
)
# Every caller gives these two. `token_type_ids` is declared only where the graph reads segments:
# transformers.js and optimum pass what a file declares, and a DistilBERT has no segments.
_ALWAYS = INPUTS[:2]


def write_hub_form(source: str | Path, target: str | Path) -> Path:
    """Write one of our files in the Hub's form.

    The inputs become int64 (B, S): `input_ids`, `attention_mask`, and `token_type_ids` where the
    graph reads segments. The outputs and the metadata stay: float32 (B, S) or (B, C) by the names
    of `converters.interface`.

    Args:
        source: a file that `converters.onnx.export` wrote.
        target: the file to write, named by `converters.precisions.ONNX_HUB_FILES`; its folder is
            made.

    Returns:
        The path of the new file.

    Raises:
        ConversionError: the source is missing, damaged, or not of our form.
    """
    model = onnx_file.read(source)
    _rename_inputs(model, Path(source))
    return onnx_file.write(model, target)


def _rename_inputs(model: ModelProto, source: Path) -> None:
    """Put Hugging Face's inputs before the graph, each with a cast to our int32 tensor."""
    graph = model.graph
    ours = {value.name: value for value in graph.input}
    if tuple(ours) != INPUTS:
        raise ConversionError(
            f"{source} takes {', '.join(ours)}, not {', '.join(INPUTS)}: export it with "
            "converters.onnx.export"
        )
    read = {name for node in nodes_of(graph) for name in node.input}
    del graph.input[:]
    for place, name in enumerate(INPUTS):
        if name not in _ALWAYS and name not in read:
            continue
        value = ours[name]
        value.name = INPUT_NAMES[name]
        value.type.tensor_type.elem_type = TensorProto.INT64
        graph.input.append(value)
        graph.node.insert(
            place, helper.make_node("Cast", [value.name], [name], to=TensorProto.INT32)
        )
