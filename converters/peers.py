# SPDX-License-Identifier: Apache-2.0
"""The files that a user of other tools would make from the same model: what ours are held against.

    python -m converters.peers build/embedded/student peers/

writes, from a Hugging Face folder:

    onnxruntime-fp32.onnx  torch.onnx.export, both dimensions open
    onnxruntime-int8.onnx  the same through onnxruntime.quantization.quantize_dynamic
    executorch-fp32.pte    torch.export, lowered to XNNPACK, any length
    executorch-int8.pte    the same through XNNPACKQuantizer, dynamic, a scale an output channel

Each tool's own defaults, in their fastest form: attention written out ("eager"), since exporters
guard the fused operator against rows without any token, which costs ONNX Runtime 5 to 12 % and
keeps ExecuTorch from lowering it; and one .pte file for every length, which at 384 tokens is as
fast as one of that length.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from converters import MASK_BIAS, ConversionError
from converters.peer_files import HUGGING_FACE_INPUTS
from converters.quiet import quiet
from converters.runtimes import one_line

FILES = (
    *("onnxruntime-fp32.onnx", "onnxruntime-int8.onnx"),
    *("executorch-fp32.pte", "executorch-int8.pte"),
)

# Tells what the files were made of; written last.
MANIFEST = "peers.json"

# What makes them, and must be there; another release makes other files.
_PACKAGES = ("torch", "transformers", "onnx", "onnxscript", "onnxruntime", "executorch")

# Traced with two rows and more tokens than one: a dimension of 1 would be taken for a constant.
_TRACED = 8


def peers(model: Path, folder: Path) -> list[Path]:
    """Make the files of `FILES` from a model, or keep those that were made from the same one.

    Args:
        model: a Hugging Face folder with a question answering model in safetensors.
        folder: where to; made if it is missing, all of it or nothing.

    Returns:
        The paths of the files, in the order of `FILES`.

    Raises:
        ConversionError: no such model, a package is missing, or `folder` holds something else.
    """
    if kept := made_before(model, folder):
        return kept
    if folder.exists() and not (folder / MANIFEST).is_file():
        raise ConversionError(f"{folder} has no {MANIFEST}, it is not ours: move it away")
    if absent := [name for name in _PACKAGES if importlib.util.find_spec(name) is None]:
        raise ConversionError(
            f"peers need {', '.join(absent)}, which is not installed: "
            'pip install "distilbert-mobile[peers]"'
        )
    loaded = _load(model)
    with _whole_folder(folder) as making:
        fp32, int8, *programs = (making / name for name in FILES)
        with quiet():
            _export_onnx(loaded, fp32)
            _quantize_onnx(fp32, int8)
            for path, lower in zip(programs, (_exported, _quantized), strict=True):
                path.write_bytes(_lowered(lower(_Plain(loaded), loaded)))
        # As exporters leave it beside the file; its predictor reads the largest length there.
        shutil.copy(model / "config.json", making)
        text = json.dumps(_origin(model) | {"files": _sizes(making)}, indent=1)
        (making / MANIFEST).write_text(text + "\n", "utf-8")
    return [folder / name for name in FILES]


def made_before(model: Path, folder: Path) -> list[Path]:
    """The files in `folder` if they are whole and were made from `model` by these packages."""
    try:
        told = json.loads((folder / MANIFEST).read_text("utf-8"))
        whole = told == _origin(model) | {"files": _sizes(folder)}
    except (OSError, ValueError):
        return []
    return [folder / name for name in FILES] if whole else []


def _origin(model: Path) -> dict[str, Any]:
    """What decides the content of the files."""
    content = hashlib.sha256()
    for path in (model / "config.json", *sorted(model.glob("*.safetensors"))):
        with path.open("rb") as file:
            content.update(hashlib.file_digest(file, "sha256").digest())
    return {"sha256": content.hexdigest(), "versions": {one: _version(one) for one in _PACKAGES}}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _sizes(folder: Path) -> dict[str, int]:
    return {name: (folder / name).stat().st_size for name in FILES}


def _load(model: Path) -> Any:
    """The model with written-out attention, float32, on the CPU."""
    from transformers import AutoModelForQuestionAnswering

    try:
        with quiet():
            loaded = AutoModelForQuestionAnswering.from_pretrained(
                *(model,),
                local_files_only=True,
                use_safetensors=True,
                attn_implementation="eager",
                dtype=torch.float32,
            )
    except Exception as error:  # its errors have no common type
        raise ConversionError(f"cannot load {model}: {one_line(error)}") from error
    return loaded.eval().requires_grad_(False)


def _names(model: Any) -> tuple[str, ...]:
    return HUGGING_FACE_INPUTS[: 3 if model.config.model_type == "bert" else 2]


def _example(model: Any, rows: int) -> dict[str, Tensor]:
    return {name: torch.ones(rows, _TRACED, dtype=torch.int64) for name in _names(model)}


def _export_onnx(model: Any, path: Path) -> None:
    example = _example(model, 2)
    dims = {
        0: torch.export.Dim("batch"),
        1: torch.export.Dim("length", max=model.config.max_position_embeddings),
    }
    torch.onnx.export(
        model,
        kwargs=example,
        f=str(path),
        dynamo=True,
        dynamic_shapes=dict.fromkeys(example, dims),
        input_names=list(example),
        output_names=["start_logits", "end_logits"],
        external_data=False,
        verbose=False,
    )


def _quantize_onnx(source: Path, path: Path) -> None:
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(source, path)


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
    prepared = prepare_pt2e(
        _exported(graph, model).module(), XNNPACKQuantizer().set_global(config)
    )
    prepared(*_example(model, 1).values())
    return _exported(convert_pt2e(prepared), model)


def _lowered(program: torch.export.ExportedProgram) -> bytes:
    """The bytes of a .pte file in which XNNPACK runs what it can."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    return bytes(lowered.to_executorch().buffer)


@contextmanager
def _whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `folder` in the end, or vanishes after an error."""
    making = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        making.mkdir(parents=True)
        yield making
        shutil.rmtree(folder, ignore_errors=True)
        making.replace(folder)
    except OSError as error:
        raise ConversionError(f"cannot write {folder}: {error.strerror}; free or fix it") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)


def main(arguments: list[str] | None = None, tell: Callable[[str], None] = print) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m converters.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path, help="a Hugging Face folder")
    parser.add_argument("folder", type=Path, help="where to write the files")
    given = parser.parse_args(arguments)
    try:
        for path in peers(given.model, given.folder):
            tell(str(path))
    except ConversionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
