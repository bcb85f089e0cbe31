# SPDX-License-Identifier: Apache-2.0
"""An .onnx file in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from converters import ConversionError, one_line
from converters.extras import install_hint
from converters.interface import INPUTS, MAX_LENGTH_KEY, expected_tensors, interface_of
from converters.runtimes.predictor import Ids, Outputs, checked_length


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
        interface = interface_of(outputs)
        if (
            inputs != dict.fromkeys(INPUTS, "tensor(int32)")
            or interface is None
            or set(outputs.values()) != {"tensor(float)"}
            or not length.isdecimal()
        ):
            raise ConversionError(
                f"{path} maps {inputs} to {outputs}, with {MAX_LENGTH_KEY} {length or 'missing'}: "
                f"expected int32 {expected_tensors()}, float, and a number; "
                "export it with converters.onnx.export"
            )
        self.interface, self.max_length = interface, int(length)

    def run(self, ids: Ids, mask: Ids, segment_ids: Ids) -> Outputs:
        """See `Predictor.run`."""
        length = checked_length(self, ids, mask, segment_ids)
        return self.interface.row(self.run_batch(ids, mask, segment_ids), length)

    def run_batch(self, ids: Ids, mask: Ids, segment_ids: Ids) -> Outputs:
        """Run B rows of the same length at once: int32 (B, S) each; float32 (B, S) or (B, C)."""
        arrays = (ids, mask, segment_ids)
        length = checked_length(self, *arrays, rows=None)
        if min(np.min(ids), np.min(segment_ids)) < 0:  # Gather would count from the table's end
            raise ConversionError(f"{self.name} got a negative id: pass those of its vocabulary")
        feed = {
            name: np.ascontiguousarray(array, np.int32)
            for name, array in zip(INPUTS, arrays, strict=True)
        }
        try:
            return tuple(self._session.run(self.interface.names, feed))
        except Exception as error:  # its errors have no common type
            raise ConversionError(
                f"{self.name} cannot run {length} tokens: {one_line(error)}; check that the token "
                "ids are the vocabulary's and that the file takes any length"
            ) from error


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
