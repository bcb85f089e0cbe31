# SPDX-License-Identifier: Apache-2.0
"""The files that a user of other tools would make from the same model: what ours are held against.

    onnxruntime-fp32.onnx  torch.onnx.export, both dimensions open
    onnxruntime-int8.onnx  the same through onnxruntime.quantization.quantize_dynamic
    executorch-fp32.pte    torch.export, lowered to XNNPACK, any length
    executorch-int8.pte    the same through XNNPACKQuantizer, dynamic, a scale an output channel

Each tool's own defaults, in their fastest form. Attention is written out ("eager"): exporters guard
the fused operator against rows without any token, which cost ONNX Runtime some 8 % and leaves
operators to ExecuTorch that XNNPACK does not take. One .pte file runs every length: at 384 tokens
it is as fast as one of that length.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from converters import ConversionError
from converters.extras import install_hint
from converters.interface import MASK_BIAS, SPANS
from converters.pretrained import load_model
from converters.quiet import quiet
from converters.runtimes.peer_files import HUGGING_FACE_INPUTS

FILES = (
    *("onnxruntime-fp32.onnx", "onnxruntime-int8.onnx"),
    *("executorch-fp32.pte", "executorch-int8.pte"),
)

# What makes the files; another release makes others.
PACKAGES = ("torch", "transformers", "onnx", "onnxscript", "onnxruntime", "executorch")

# More tokens than one: a dimension of 1 would be taken for a constant.
_TRACED = 8


def export_peers(model: Path, folder: Path) -> None:
    """Write `FILES`, and the model's config.json beside them as exporters do.

    Args:
        model: a Hugging Face folder with a question answering model in safetensors.
        folder: where to; it exists.

    Raises:
        ConversionError: no such model, or a package is missing.
    """
    if absent := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise ConversionError(
            f"peers need {', '.join(absent)}, not installed here: {install_hint('peers')}"
        )
    loaded = load(model)
    onnx_fp32, onnx_int8, pte_fp32, pte_int8 = (folder / name for name in FILES)
    with quiet():
        export_onnx(loaded, onnx_fp32, onnx_int8)
        export_executorch(loaded, pte_fp32, "fp32")
        export_executorch(loaded, pte_int8, "int8")
    shutil.copy(model / "config.json", folder)  # where the largest length is read from


def load(model: Path) -> Any:
    """The model in a Hugging Face folder, with written-out attention, in float32 on the CPU.

    Raises:
        ConversionError: there is none.
    """
    from transformers import AutoModelForQuestionAnswering

    if not (model / "config.json").is_file():
        raise ConversionError(f"{model} is no Hugging Face folder: it has no config.json")
    with quiet():
        loaded = load_model(AutoModelForQuestionAnswering, model, attn_implementation="eager")
    return loaded.float().eval().requires_grad_(False)


def _example(model: Any, rows: int) -> dict[str, Tensor]:
    names = HUGGING_FACE_INPUTS[: 3 if model.config.model_type == "bert" else 2]
    return {name: torch.ones(rows, _TRACED, dtype=torch.int64) for name in names}


def export_onnx(model: Any, fp32: Path, int8: Path) -> None:
    """Write a loaded model as .onnx files for ONNX Runtime, for any number of rows and length."""
    from onnxruntime.quantization import quantize_dynamic

    example = _example(model, 2)
    dims = {
        0: torch.export.Dim("batch"),
        1: torch.export.Dim("length", max=model.config.max_position_embeddings),
    }
    torch.onnx.export(
        model,
        kwargs=example,
        f=str(fp32),
        dynamo=True,
        dynamic_shapes=dict.fromkeys(example, dims),
        input_names=list(example),
        output_names=SPANS.names,
        external_data=False,
        verbose=False,
    )
    quantize_dynamic(fp32, int8)


def export_executorch(model: Any, path: Path, precision: str) -> None:
    """Write a loaded model as a .pte file for ExecuTorch with XNNPACK, one row of any length.

    `precision` is "fp32" or "int8".
    """
    export = _quantized if precision == "int8" else _exported
    path.write_bytes(lowered(export(_Plain(model), model)))


class _Plain(nn.Module):
    """A Hugging Face model that gets its mask as numbers to add.

    Its own way from a mask of ones and zeros to those numbers indexes with integers, which
    XNNPACKQuantizer turns into floats: the program would not run.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Int64 (1, S) each to start and end logits, float32 (1, S)."""
        bias = (1 - attention_mask[:, None, None, :].float()) * MASK_BIAS  # (1, S) -> (1, 1, 1, S)
        segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        output = self.model(input_ids=input_ids, attention_mask=bias, **segments)
        return output.start_logits, output.end_logits


def _exported(graph: nn.Module, model: Any) -> torch.export.ExportedProgram:
    example = tuple(_example(model, 1).values())
    length = torch.export.Dim("length", min=2, max=model.config.max_position_embeddings)
    return torch.export.export(graph, example, dynamic_shapes=({1: length},) * len(example))


def _quantized(graph: nn.Module, model: Any) -> torch.export.ExportedProgram:
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    config = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=True)
    prepared = prepare_pt2e(_exported(graph, model).module(), XNNPACKQuantizer().set_global(config))
    prepared(*_example(model, 1).values())
    return _exported(convert_pt2e(prepared), model)


def lowered(program: torch.export.ExportedProgram) -> bytes:
    """The bytes of a .pte file in which XNNPACK runs what it can."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    edge = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    return bytes(edge.to_executorch().buffer)
