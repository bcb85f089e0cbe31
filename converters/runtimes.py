# SPDX-License-Identifier: Apache-2.0
"""Any exported file, or the PyTorch model it came from, behind one `Predictor`; and a probe.

`python -m converters.runtimes FILE` opens a file in a process of its own and prints how long that
took and how much memory it needed. This module therefore imports as little as it can: the schema
classes of `tflite_file` alone would add 40 MB to every figure.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from converters import INPUTS, MASK_BIAS, OUTPUTS, SIGNATURE, ConversionError

Ids = NDArray[np.int32]
Logits = NDArray[np.float32]


class Predictor(Protocol):
    """Scores every token of one window as the start and the end of the answer.

    Attributes:
        name: what reports call it.
        max_length: the largest S.
    """

    name: str
    max_length: int

    def logits(self, ids: Ids, mask: Ids, segment_ids: Ids) -> tuple[Logits, Logits]:
        """Run once.

        Args:
            ids: token ids, int32 (1, S); S may change from call to call.
            mask: 1 for a token, 0 for padding, int32 (1, S).
            segment_ids: 0 for the question, 1 for the context, int32 (1, S).

        Returns:
            start and end logits, float32 (S,), owned by the caller; about `MASK_BIAS` at padding.

        Raises:
            ConversionError: a shape or a length that the model cannot take.
        """
        ...


class TfLitePredictor:
    """A .tflite file in LiteRT's Interpreter on the CPU; tensors are found by signature name."""

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        """Open `path`; raises a ConversionError if LiteRT or the names refuse."""
        from ai_edge_litert.interpreter import Interpreter

        self.name = Path(path).name
        try:
            self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ConversionError(
                f"LiteRT cannot open {path}: {_one_line(error)}; export it again"
            ) from error
        signatures = self._interpreter.get_signature_list()
        found = signatures.get(SIGNATURE, {"inputs": [], "outputs": []})
        if set(found["inputs"]) != set(INPUTS) or set(found["outputs"]) != set(OUTPUTS):
            raise ConversionError(
                f"{path} has the signatures {signatures}: expected {SIGNATURE!r} from "
                f"{', '.join(INPUTS)} to {', '.join(OUTPUTS)}; export it with converters.to_tflite"
            )
        runner = self._interpreter.get_signature_runner(SIGNATURE)
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        self._inputs = [inputs[name]["index"] for name in INPUTS]
        self._outputs = [outputs[name]["index"] for name in OUTPUTS]
        self._length = int(inputs[INPUTS[0]]["shape"][1])
        self.max_length = self._length
        if -1 in inputs[INPUTS[0]]["shape_signature"]:
            rows = (
                int(tensor["shape"][0])
                for tensor in self._interpreter.get_tensor_details()
                if tensor["name"] == "position_embeddings"
            )
            self.max_length = next(rows, self._length)

    def logits(self, ids: Ids, mask: Ids, segment_ids: Ids) -> tuple[Logits, Logits]:
        """See `Predictor.logits`; the graph is resized only when S differs from the last call."""
        length = _checked_length(self, ids, mask, segment_ids)
        try:
            if length != self._length:
                self._length = 0  # unknown until the resize has worked
                for index in self._inputs:
                    self._interpreter.resize_tensor_input(index, [1, length], strict=True)
                self._interpreter.allocate_tensors()
                self._length = length
            for index, array in zip(self._inputs, (ids, mask, segment_ids), strict=True):
                self._interpreter.set_tensor(index, np.ascontiguousarray(array, np.int32))
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise ConversionError(
                f"{self.name} cannot run {length} tokens: {_one_line(error)}; check that the token "
                "ids are the vocabulary's and that the file resizes"
            ) from error
        # get_tensor copies, (1, S) -> (S,)
        start, end = (self._interpreter.get_tensor(index)[0] for index in self._outputs)
        return start, end


class TorchPredictor:
    """A Hugging Face question answering model in PyTorch, on its device: the reference."""

    def __init__(self, model: Any, name: str, threads: int | None = None) -> None:
        """Put `model` into eval mode; `threads` counts for PyTorch in the whole process."""
        import torch

        if threads is not None:
            torch.set_num_threads(threads)
        self.name = name
        self.max_length = int(model.config.max_position_embeddings)
        self._torch, self._model = torch, model.eval()
        self._takes_segments = "token_type_ids" in inspect.signature(model.forward).parameters

    def logits(self, ids: Ids, mask: Ids, segment_ids: Ids) -> tuple[Logits, Logits]:
        """See `Predictor.logits`; padding gets the bias that exported graphs add themselves."""
        _checked_length(self, ids, mask, segment_ids)
        arrays = {"input_ids": ids, "attention_mask": mask}
        if self._takes_segments:
            arrays["token_type_ids"] = segment_ids
        arguments = {
            name: self._torch.as_tensor(array, dtype=self._torch.int64, device=self._model.device)
            for name, array in arrays.items()
        }
        with self._torch.inference_mode():
            output = self._model(**arguments)
        bias = (1 - np.asarray(mask[0], np.float32)) * np.float32(MASK_BIAS)  # (S,)
        start, end = (
            logits[0].float().cpu().numpy() + bias
            for logits in (output.start_logits, output.end_logits)
        )
        return start, end


def open_predictor(path: str | Path, threads: int = 1) -> Predictor:
    """Open a .tflite file, or a folder written by Hugging Face's `save_pretrained`.

    Raises:
        ConversionError: missing, damaged, or not such a file.
    """
    path = Path(path)
    if not path.exists():
        raise ConversionError(f"{path} does not exist: check the path")
    if (path / "config.json").is_file():
        from transformers import AutoModelForQuestionAnswering

        try:
            model = AutoModelForQuestionAnswering.from_pretrained(
                path, local_files_only=True, use_safetensors=True
            )
        except Exception as error:  # its errors have no common type
            raise ConversionError(f"cannot load {path}: {_one_line(error)}") from error
        return TorchPredictor(model, path.name, threads)
    if path.suffix == ".tflite" and path.is_file():
        return TfLitePredictor(path, threads)
    raise ConversionError(
        f"cannot open {path}: expected a .tflite file or a Hugging Face model folder"
    )


def _checked_length(predictor: Predictor, *arrays: Ids) -> int:
    """The common S of three (1, S) arrays, refused if it does not fit."""
    shapes = {np.shape(array) for array in arrays}
    shape = shapes.pop()
    if shapes or len(shape) != 2 or shape[0] != 1:
        raise ConversionError(
            f"{', '.join(INPUTS)} have shapes {[np.shape(array) for array in arrays]}: "
            "pass three arrays of the same shape (1, S)"
        )
    if not 1 <= shape[1] <= predictor.max_length:
        raise ConversionError(
            f"{shape[1]} tokens do not fit {predictor.name}: pass 1 to {predictor.max_length}"
        )
    return int(shape[1])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _memory(field: str) -> int:
    """VmRSS (now) or VmHWM (peak) of this process, in bytes."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def probe(path: Path, threads: int, lengths: list[int], repeat: int) -> dict[str, float]:
    """Open `path`, run every length `repeat` times, and say what that cost this process.

    Returns:
        load_ms: opening the file; first_ms: the first run; peak_rss_bytes: the most memory ever;
        empty_rss_bytes: the memory before opening, with the runtime already imported.
    """
    for module in ("torch", "transformers") if path.is_dir() else ("ai_edge_litert.interpreter",):
        importlib.import_module(module)
    empty = _memory("VmRSS")
    began = time.perf_counter()
    predictor = open_predictor(path, threads)
    opened = time.perf_counter()
    first = 0.0
    for length in lengths:
        ones = np.ones((1, length), np.int32)
        for _ in range(repeat):
            predictor.logits(ones, ones, ones)
            first = first or time.perf_counter()
    return {
        "load_ms": (opened - began) * 1e3,
        "first_ms": (first - opened) * 1e3,
        "peak_rss_bytes": _memory("VmHWM"),
        "empty_rss_bytes": empty,
    }


def main(arguments: list[str] | None = None) -> None:
    """Print what `probe` found as one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m converters.runtimes", description=__doc__)
    parser.add_argument("file", type=Path, help="a .tflite file or a Hugging Face model folder")
    parser.add_argument("--threads", type=int, default=1, help="threads of the runtime")
    parser.add_argument("--length", type=int, action="append", help="tokens; may be repeated")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each length")
    options = parser.parse_args(arguments)
    if min(options.threads, options.repeat) < 1:
        parser.error("--threads and --repeat must be at least 1")
    try:
        found = probe(options.file, options.threads, options.length or [384], options.repeat)
    except ConversionError as error:
        parser.exit(1, f"error: {error}\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
