# SPDX-License-Identifier: Apache-2.0
"""Opens any exported file, or the PyTorch model it came from, as one `Predictor`.

This module imports as little as it can, for `converters.runtimes.probe` measures the memory of a
process that imports it: the schema classes of .tflite files alone would add 40 MB to every figure.
"""

from __future__ import annotations

from pathlib import Path

from converters import ConversionError, reader, terminal
from converters.runtimes.coreml import CoreMlPredictor
from converters.runtimes.onnx import OnnxPredictor
from converters.runtimes.predictor import Predictor
from converters.runtimes.tflite import TfLitePredictor
from converters.runtimes.torch import TorchPredictor


@reader
def open_predictor(path: str | Path, threads: int = 1) -> Predictor:
    """Open a .tflite, .onnx or .pte file, a .mlpackage, or a folder that `save_pretrained` wrote.

    An .onnx file may be this project's or one with the interface of Hugging Face's models.

    Raises:
        ConversionError: missing, damaged, or not such a file.
    """
    path = Path(path)
    if not path.exists():
        raise ConversionError(f"{path} does not exist: check the path")
    if (path / "config.json").is_file():
        terminal.hush()
        from transformers import logging as transformers_logging

        from converters.pretrained import load_with_head

        transformers_logging.disable_progress_bar()
        model = load_with_head(path)
        return TorchPredictor(model, path.name, threads)
    if path.suffix == ".tflite" and path.is_file():
        return TfLitePredictor(path, threads)
    if path.suffix == ".onnx" and path.is_file():
        from converters.runtimes.peer_files import HuggingFaceOnnxPredictor, is_hugging_face_onnx

        hugging_face = is_hugging_face_onnx(path)
        return (HuggingFaceOnnxPredictor if hugging_face else OnnxPredictor)(path, threads)
    if path.suffix == ".pte" and path.is_file():
        from converters.runtimes.peer_files import ExecuTorchPredictor

        return ExecuTorchPredictor(path, threads)
    if path.suffix == ".mlpackage":
        return CoreMlPredictor(path)
    raise ConversionError(
        f"cannot open {path}: expected a .tflite or .onnx file, a .pte of ExecuTorch, a .mlpackage "
        "or a Hugging Face model folder"
    )
