# SPDX-License-Identifier: Apache-2.0
"""Files that other tools export from the same models, behind the project's `Predictor`.

What a benchmark compares with: .onnx files with the interface of Hugging Face's models, and .pte
files of ExecuTorch. Both run as their runtime does by default.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters import ConversionError, one_line, sealed
from converters.extras import install_hint
from converters.interface import SPANS
from converters.quiet import quiet
from converters.runtimes.onnx import onnx_session
from converters.runtimes.predictor import Ids, Outputs, checked_length

# Hugging Face's names of `INPUTS`, in the order of its models' forward; DistilBERT has no segments.
HUGGING_FACE_INPUTS = ("input_ids", "attention_mask", "token_type_ids")

# An .onnx file lists its inputs behind its weights and before notes on shapes: those take less.
_TAIL_BYTES = 2**22

# PyTorch's numbers of the dtypes that a .pte file tells.
_INT64, _FLOAT32 = 4, 6

# ExecuTorch has one pool of threads a process, and a program that is loaded keeps a reference to
# it: replacing the pool makes the program hang.
_executorch_programs: weakref.WeakSet[ExecuTorchPredictor] = weakref.WeakSet()


def is_hugging_face_onnx(path: Path) -> bool:
    """Whether an .onnx file has the inputs of a Hugging Face model; it is not loaded for that."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        tail = file.read()
    return all(name.encode() in tail for name in HUGGING_FACE_INPUTS[:2])


class HuggingFaceOnnxPredictor:
    """An .onnx file exported from a Hugging Face model, in ONNX Runtime on the CPU.

    Tensors go by name; the model's config.json beside the file, as exporters leave it there, tells
    the largest length. A file of a fixed length runs padded to it.
    """

    interface = SPANS

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        """Open `path`; raises a ConversionError if ONNX Runtime or the names refuse."""
        self.name = Path(path).name
        # Everything else is ONNX Runtime's default, as its users have it: threads spin while a run
        # lasts. Once it is over they stop, or they would take a core from whoever runs next.
        self._session = onnx_session(path, threads, {"session.force_spinning_stop": "1"})
        inputs = {tensor.name: tensor for tensor in self._session.get_inputs()}
        outputs = {tensor.name: tensor.type for tensor in self._session.get_outputs()}
        types = {name: tensor.type for name, tensor in inputs.items()}
        self._names = tuple(name for name in HUGGING_FACE_INPUTS if name in inputs)
        if (
            not {*HUGGING_FACE_INPUTS[:2]} <= set(inputs) <= {*HUGGING_FACE_INPUTS}
            or set(types.values()) != {"tensor(int64)"}
            or any(outputs.get(name) != "tensor(float)" for name in SPANS.names)
        ):
            raise ConversionError(
                f"{path} maps {types} to {outputs}: expected int64 "
                f"{', '.join(HUGGING_FACE_INPUTS)} (the last where the model has segments) to "
                f"float {', '.join(SPANS.names)}; export it again with these names"
            )
        length = inputs[HUGGING_FACE_INPUTS[0]].shape[1]
        self._fixed = isinstance(length, int)
        self.max_length = length if isinstance(length, int) else _max_length(Path(path))

    def run(self, ids: Ids, mask: Ids, segment_ids: Ids) -> Outputs:
        """See `Predictor.run`."""
        length = checked_length(self, ids, mask, segment_ids)
        by_name = dict(zip(HUGGING_FACE_INPUTS, (ids, mask, segment_ids), strict=True))
        size = self.max_length if self._fixed else length
        feed = {name: _widened(by_name[name], size) for name in self._names}
        try:
            found = self._session.run(SPANS.names, feed)
        except Exception as error:  # its errors have no common type
            raise _cannot_run(self.name, length, error) from error
        return SPANS.masked(SPANS.row(found, length), mask)


class ExecuTorchPredictor:
    """A .pte file in ExecuTorch, on whatever it was lowered to.

    A .pte file has no names: two or three inputs are taken in the order of Hugging Face's forward
    (`HUGGING_FACE_INPUTS`), two outputs for start and end. Their number, dtypes and shapes are
    checked. A file that does not resize runs padded to its length.
    """

    interface = SPANS

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        """Open `path`; raises a ConversionError if ExecuTorch or the interface refuses.

        All files of a process share their threads: to change the number, drop every predictor.
        """
        try:
            with quiet():
                from executorch.extension.pybindings import portable_lib
        except ImportError as error:
            raise ConversionError(
                f"{path} needs ExecuTorch, which is not installed: {install_hint('peers')}"
            ) from error
        import torch

        self.name, self._torch = Path(path).name, torch
        _set_threads(portable_lib, threads)
        self._program = _told(
            lambda: portable_lib._load_program(
                str(path), program_verification=portable_lib.Verification.InternalConsistency
            )
        )
        count = 0 if isinstance(self._program, Exception) else self._program.num_methods()
        if "forward" not in [self._program.get_method_name(place) for place in range(count)]:
            raise _cannot_open(path, self._program)
        meta = self._program.method_meta("forward")
        inputs = [meta.input_tensor_meta(place) for place in range(meta.num_inputs())]
        outputs = [meta.output_tensor_meta(place) for place in range(meta.num_outputs())]
        self._inputs = len(inputs)
        shapes = {tuple(tensor.sizes()) for tensor in (*inputs, *outputs)}
        if (
            self._inputs not in (2, 3)
            or len(outputs) != len(SPANS.outputs)
            or {tensor.dtype() for tensor in inputs} != {_INT64}
            or {tensor.dtype() for tensor in outputs} != {_FLOAT32}
            or [shape[:-1] for shape in shapes] != [(1,)]
        ):
            raise ConversionError(
                f"{path} maps {inputs} to {outputs}: expected two or three int64 inputs (1, S), "
                f"{', '.join(HUGGING_FACE_INPUTS)}, and two float outputs (1, S), "
                f"{', '.join(SPANS.names)}; export it again"
            )
        ((_, self.max_length),) = shapes
        self._method = _told(lambda: self._program.load_method("forward"))
        if isinstance(self._method, Exception):
            raise _cannot_open(path, self._method)
        shorter = np.ones((1, self.max_length - 1), np.int64)
        tensors = self._tensors([shorter] * self._inputs)
        self._fixed = isinstance(_told(lambda: self._method.set_inputs(tensors)), Exception)
        _executorch_programs.add(self)

    def run(self, ids: Ids, mask: Ids, segment_ids: Ids) -> Outputs:
        """See `Predictor.run`."""
        length = checked_length(self, ids, mask, segment_ids)
        size = self.max_length if self._fixed else length
        arrays = [_widened(array, size) for array in (ids, mask, segment_ids)[: self._inputs]]
        try:
            found = self._method(self._tensors(arrays))
        except RuntimeError as error:
            raise _cannot_run(self.name, length, error) from error
        return SPANS.masked(SPANS.row([each.numpy() for each in found], length), mask)

    def _tensors(self, arrays: Sequence[NDArray[np.int64]]) -> list[Any]:
        return [self._torch.from_numpy(array) for array in arrays]


def _set_threads(portable_lib: Any, threads: int) -> None:
    """Give ExecuTorch's pool so many threads, if it has another number."""
    with quiet():  # the first call starts the pool, and tells what it reads of the processor
        count = portable_lib._threadpool_get_thread_count()
    if count == threads:
        return
    gc.collect()  # programs in cycles are closed, but still there
    if open_ones := sorted(one.name for one in _executorch_programs):
        raise ConversionError(
            f"ExecuTorch has one pool of threads a process, and {', '.join(open_ones)} runs in it: "
            f"close that before opening a file with {threads}"
        )
    with quiet():
        portable_lib._unsafe_reset_threadpool(threads)


def _told(call: Callable[[], Any]) -> Any:
    """What a call to ExecuTorch returns, or its error; its own lines are kept from the terminal."""
    with quiet():
        try:
            return call()
        except RuntimeError as error:
            return error


def _cannot_open(path: str | Path, found: Any) -> ConversionError:
    reason = one_line(found) if isinstance(found, Exception) else "it has no method forward"
    return ConversionError(f"ExecuTorch cannot open {path}: {reason}; export it again")


def _cannot_run(name: str, length: int, error: Exception) -> ConversionError:
    return ConversionError(
        f"{name} cannot run {length} tokens: {one_line(error)}; check that the token ids are the "
        "vocabulary's and that the file takes this length"
    )


def _max_length(path: Path) -> int:
    """Positions of the model, from the config.json beside an exported file."""
    config = path.with_name("config.json")
    try:
        return int(sealed.read_json(config)["max_position_embeddings"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ConversionError(
            f"{path} does not tell its largest length: put the model's config.json beside it, with "
            "max_position_embeddings"
        ) from error


def _widened(array: Ids, size: int) -> NDArray[np.int64]:
    """An array (1, S) in int64, padded with zeros to (1, size)."""
    widened = np.zeros((1, size), np.int64)
    widened[:, : array.shape[1]] = array
    return widened
