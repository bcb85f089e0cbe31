# SPDX-License-Identifier: Apache-2.0
"""A .tflite file in LiteRT's CompiledModel, whose packed weights lie in a file.

XNNPACK rearranges the weights of each layer when a file is opened. With its weight cache it does so
once and maps the result from then on: opening takes a fraction of the time, and the pages belong to
a file, so that the system may drop them and several processes share them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from converters import ConversionError, one_line
from converters.interface import INPUTS, INTERFACES, interface_of
from converters.quiet import quiet
from converters.runtimes.predictor import Ids, Outputs


def start_runtime() -> Any:
    """LiteRT's environment, in which models are opened: what an app pays once, for any model."""
    with quiet():
        from ai_edge_litert.environment import Environment

        return Environment.create()


class CachedTfLitePredictor:
    """A .tflite file that takes any length, on the CPU, with XNNPACK's weight cache.

    Args:
        path: the model.
        cache: the cache's file, made when it is missing. XNNPACK does not see whose weights they
            are: one cache for each model.
        environment: what `start_runtime` returned.
        threads: of the runtime.
        max_length: the largest S, which CompiledModel cannot be asked for.

    Raises:
        ConversionError: LiteRT or the names refuse, or no cache can be written.
    """

    def __init__(
        self,
        path: str | Path,
        cache: str | Path,
        environment: Any,
        threads: int = 1,
        max_length: int = 512,
    ) -> None:
        """Open `path`; see the class."""
        from ai_edge_litert.compiled_model import CompiledModel
        from ai_edge_litert.options import CpuOptions, HardwareAccelerator, Options

        self.name, self.max_length, self._length = Path(path).name, max_length, 0
        options = Options(
            hardware_accelerators=HardwareAccelerator.CPU,
            cpu_options=CpuOptions(num_threads=threads, xnnpack_weight_cache_path=str(cache)),
        )
        try:
            with quiet():
                self._model = CompiledModel.from_file(
                    str(path), environment=environment, options=options
                )
            signatures = self._model.get_signature_list()
        except (ValueError, RuntimeError) as error:
            raise ConversionError(f"LiteRT cannot open {path}: {one_line(error)}") from error
        known = [
            one
            for one in INTERFACES
            if one.signature in signatures
            and interface_of(signatures[one.signature]["outputs"]) is one
            and set(signatures[one.signature]["inputs"]) == set(INPUTS)
        ]
        if not known:
            raise ConversionError(
                f"{path} has no signature {' or '.join(one.signature for one in INTERFACES)} that "
                "takes any length: the weight cache is measured with files exported without "
                "--static-lengths"
            )
        self.interface = known[0]
        tensors = self._model.get_output_tensor_details(self.interface.signature)
        self._classes = {name: int(tensor["shape"][-1]) for name, tensor in tensors.items()}
        if not Path(cache).is_file():
            raise ConversionError(
                f"XNNPACK wrote no weight cache to {cache}: its folder must be writable"
            )

    def run(self, ids: Ids, mask: Ids, segment_ids: Ids) -> Outputs:
        """See `converters.runtimes.predictor.Predictor.run`."""
        length = int(ids.shape[1])
        if not 1 <= length <= self.max_length:
            raise ConversionError(
                f"{length} tokens do not fit {self.name}: pass 1 to {self.max_length}"
            )
        try:
            if length != self._length:
                self._resize(length)
            for name, array in zip(INPUTS, (ids, mask, segment_ids), strict=True):
                self._inputs[name].write(np.ascontiguousarray(array, np.int32))
            self._model.run_by_name(self.interface.signature, self._inputs, self._outputs)
        except (ValueError, RuntimeError) as error:
            raise ConversionError(
                f"{self.name} cannot run {length} tokens: {one_line(error)}"
            ) from error
        return tuple(
            self._outputs[output.name].read(
                length if output.axis == "token" else self._classes[output.name], np.float32
            )
            for output in self.interface.outputs
        )

    def _resize(self, length: int) -> None:
        """Make room for `length` tokens; buffers are made for a length and keep it."""
        model, signature = self._model, self.interface.signature
        for name in INPUTS:
            model.resize_input_tensor_by_name(signature, name, [1, length])
        self._inputs = {n: model.create_input_buffer_by_name(signature, n) for n in INPUTS}
        names = self.interface.names
        self._outputs = {n: model.create_output_buffer_by_name(signature, n) for n in names}
        self._length = length
