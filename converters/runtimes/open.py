# SPDX-License-Identifier: Apache-2.0
"""Any exported file, or the PyTorch model it came from, behind one `Predictor`.

This module imports as little as it can, for `converters.runtimes.probe` measures the memory of a
process that imports it: the schema classes of .tflite files alone would add 40 MB to every figure.
"""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from converters import (
    INPUTS,
    MASK_BIAS,
    MAX_LENGTH_KEY,
    OUTPUTS,
    SIGNATURE,
    ConversionError,
    signature_of,
)
from converters.extras import install_hint
from converters.quiet import quiet

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
    """A .tflite file in LiteRT's Interpreter on the CPU; tensors are found by signature name.

    A file of fixed lengths runs the shortest signature that the window fits, padded to it.
    """

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        """Open `path`; raises a ConversionError if LiteRT or the names refuse."""
        from ai_edge_litert.interpreter import Interpreter

        self.name = Path(path).name
        try:
            self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ConversionError(
                f"LiteRT cannot open {path}: {one_line(error)}; export it again"
            ) from error
        signatures = self._interpreter.get_signature_list()
        runners = [
            self._interpreter.get_signature_runner(name)
            for name, found in signatures.items()
            if set(found["inputs"]) == set(INPUTS) and set(found["outputs"]) == set(OUTPUTS)
        ]
        if not runners:
            raise ConversionError(
                f"{path} has the signatures {signatures}: expected {SIGNATURE!r} or "
                f"{signature_of(64)!r} and so on, from {', '.join(INPUTS)} to "
                f"{', '.join(OUTPUTS)}; export it with converters.tflite.export"
            )
        ids = [runner.get_input_details()[INPUTS[0]] for runner in runners]
        by_length = {
            int(each["shape"][1]): runner for each, runner in zip(ids, runners, strict=True)
        }
        self._resizes = any(-1 in each["shape_signature"] for each in ids)
        if self._resizes:
            rows = (
                int(tensor["shape"][0])
                for tensor in self._interpreter.get_tensor_details()
                if tensor["name"] == "position_embeddings"
            )
            by_length = {next(rows, max(by_length)): runners[0]}
        self._by_length = sorted(by_length.items(), key=lambda item: item[0])
        self.max_length = self._by_length[-1][0]

    def logits(self, ids: Ids, mask: Ids, segment_ids: Ids) -> tuple[Logits, Logits]:
        """See `Predictor.logits`; a graph is resized only when S differs from the last call."""
        length = checked_length(self, ids, mask, segment_ids)
        largest, run = next(item for item in self._by_length if item[0] >= length)
        feed = {
            name: np.zeros((1, length if self._resizes else largest), np.int32) for name in INPUTS
        }
        for name, array in zip(INPUTS, (ids, mask, segment_ids), strict=True):
            feed[name][:, :length] = array
        try:
            found = run(**feed)
        except (ValueError, RuntimeError) as error:
            raise ConversionError(
                f"{self.name} cannot run {length} tokens: {one_line(error)}; check that the token "
                "ids are the vocabulary's and that the file resizes"
            ) from error
        # (1, S and padding) -> (S,); the runtime has copied them
        start, end = (found[name][0, :length] for name in OUTPUTS)
        return start, end


class OnnxPredictor:
    """An .onnx file in ONNX Runtime on the CPU, in batches of any size; tensors go by name."""

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        """Open `path`; raises a ConversionError if ONNX Runtime or the names refuse."""
        self.name = Path(path).name
        # Threads that wait sleep: spinning takes a core from whoever runs beside. All else is ONNX
        # Runtime's default, as the users of a file have it: their answers are what gates check.
        self._session = onnx_session(path, threads, {"session.intra_op.allow_spinning": "0"})
        inputs = {tensor.name: tensor.type for tensor in self._session.get_inputs()}
        outputs = {tensor.name: tensor.type for tensor in self._session.get_outputs()}
        length = self._session.get_modelmeta().custom_metadata_map.get(MAX_LENGTH_KEY, "")
        if (
            inputs != dict.fromkeys(INPUTS, "tensor(int32)")
            or outputs != dict.fromkeys(OUTPUTS, "tensor(float)")
            or not length.isdecimal()
        ):
            raise ConversionError(
                f"{path} maps {inputs} to {outputs}, with {MAX_LENGTH_KEY} {length or 'missing'}: "
                f"expected int32 {', '.join(INPUTS)} to float {', '.join(OUTPUTS)} and a number; "
                "export it with converters.onnx.export"
            )
        self.max_length = int(length)

    def logits(self, ids: Ids, mask: Ids, segment_ids: Ids) -> tuple[Logits, Logits]:
        """See `Predictor.logits`."""
        checked_length(self, ids, mask, segment_ids)
        start, end = self.batch_logits(ids, mask, segment_ids)
        return start[0], end[0]  # (1, S) -> (S,)

    def batch_logits(self, ids: Ids, mask: Ids, segment_ids: Ids) -> tuple[Logits, Logits]:
        """Run B rows of the same length at once: int32 (B, S) each, float32 (B, S) logits."""
        arrays = (ids, mask, segment_ids)
        length = checked_length(self, *arrays, rows=None)
        if min(np.min(ids), np.min(segment_ids)) < 0:  # Gather would count from the table's end
            raise ConversionError(f"{self.name} got a negative id: pass those of its vocabulary")
        feed = {
            name: np.ascontiguousarray(array, np.int32)
            for name, array in zip(INPUTS, arrays, strict=True)
        }
        try:
            start, end = self._session.run(OUTPUTS, feed)
        except Exception as error:  # its errors have no common type
            raise ConversionError(
                f"{self.name} cannot run {length} tokens: {one_line(error)}; check that the token "
                "ids are the vocabulary's and that the file takes any length"
            ) from error
        return start, end


class CoreMlPredictor:
    """A Core ML package: in Core ML on macOS, evaluated by `coreml_program` elsewhere.

    A package of several lengths runs the shortest function that the window fits, padded to it.
    """

    def __init__(self, path: str | Path) -> None:
        """Open `path`; raises a ConversionError if it is damaged or has other names."""
        from converters.coreml.program import CoreMlProgram

        self.name = Path(path).name
        program = CoreMlProgram(path)
        for name, function in program.functions.items():
            if set(function.inputs) != set(INPUTS) or set(function.outputs) != set(OUTPUTS):
                raise ConversionError(
                    f"{path}, {name} takes {', '.join(function.inputs)} and gives "
                    f"{', '.join(function.outputs)}: expected {', '.join(INPUTS)} to "
                    f"{', '.join(OUTPUTS)}; export it with converters.coreml.export"
                )
        self._by_length = sorted(program.functions.items(), key=lambda item: item[1].largest)
        self.max_length = self._by_length[-1][1].largest
        self._run = _core_ml(Path(path)) if sys.platform == "darwin" else program.run

    def logits(self, ids: Ids, mask: Ids, segment_ids: Ids) -> tuple[Logits, Logits]:
        """See `Predictor.logits`."""
        length = checked_length(self, ids, mask, segment_ids)
        name, function = next(item for item in self._by_length if item[1].largest >= length)
        extra = ((0, 0), (0, max(length, function.smallest) - length))
        arrays = zip(INPUTS, (ids, mask, segment_ids), strict=True)
        inputs = {key: np.pad(np.asarray(array, np.int32), extra) for key, array in arrays}
        found = self._run(inputs, name)
        # (1, S and padding) -> (S,)
        start, end = (np.array(found[key][0, :length], np.float32) for key in OUTPUTS)
        return start, end


def _core_ml(path: Path) -> Callable[[dict[str, Ids], str], dict[str, Any]]:
    """Core ML itself: runs a function of a package, opened when it is first needed."""
    with quiet():
        import coremltools as ct

    opened: dict[str, Any] = {}

    def run(inputs: dict[str, Ids], function: str) -> dict[str, Any]:
        try:
            if function not in opened:
                # Only a package of several functions has names for them.
                chosen = None if function == "main" else function
                opened[function] = ct.models.MLModel(str(path), function_name=chosen)
            outputs: dict[str, Any] = opened[function].predict(inputs)
        except Exception as error:  # its errors have no common type
            raise ConversionError(
                f"Core ML cannot run {path.name} ({function}): {one_line(error)}; check that this "
                "macOS is recent enough for it"
            ) from error
        return outputs

    return run


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
        checked_length(self, ids, mask, segment_ids)
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


def onnx_session(path: str | Path, threads: int, entries: Mapping[str, str]) -> Any:
    """An .onnx file in ONNX Runtime on the CPU, with `entries` of a session's configuration.

    Raises:
        ConversionError: ONNX Runtime is not installed, or refuses.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ConversionError(
            f"{path} needs ONNX Runtime, which is not installed: {install_hint('onnx')}"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # errors come as exceptions, not on the terminal as well
    for name, value in entries.items():
        options.add_session_config_entry(name, value)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common type
        raise ConversionError(
            f"ONNX Runtime cannot open {path}: {one_line(error)}; export it again"
        ) from error


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
        logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)  # of its own insides
        from transformers import AutoModelForQuestionAnswering
        from transformers import logging as transformers_logging

        from converters.pretrained import load_model

        transformers_logging.disable_progress_bar()
        model = load_model(AutoModelForQuestionAnswering, path)
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


def checked_length(predictor: Predictor, *arrays: Ids, rows: int | None = 1) -> int:
    """The common S of three (rows, S) arrays, refused if it does not fit; None is any number."""
    shapes = {np.shape(array) for array in arrays}
    shape = shapes.pop()
    if shapes or len(shape) != 2 or shape[0] != (rows or max(shape[0], 1)):
        raise ConversionError(
            f"{', '.join(INPUTS)} have shapes {[np.shape(array) for array in arrays]}: "
            f"pass three arrays of the same shape ({rows or 'B'}, S)"
        )
    if not 1 <= shape[1] <= predictor.max_length:
        raise ConversionError(
            f"{shape[1]} tokens do not fit {predictor.name}: pass 1 to {predictor.max_length}"
        )
    return int(shape[1])


def one_line(error: Exception) -> str:
    """What an error says, without line breaks, or else its kind."""
    return " ".join(str(error).split()) or type(error).__name__
