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

from converters import INPUTS, OUTPUTS, SIGNATURE, ConversionError
from converters.quiet import quiet
from converters.runtimes.predictor import Ids, Logits, one_line


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
            found = self._model.get_signature_list().get(SIGNATURE, {"inputs": (), "outputs": ()})
        except (ValueError, RuntimeError) as error:
            raise ConversionError(f"LiteRT cannot open {path}: {one_line(error)}") from error
        if set(found["inputs"]) != set(INPUTS) or set(found["outputs"]) != set(OUTPUTS):
            raise ConversionError(
                f"{path} has no signature {SIGNATURE!r} that takes any length: the weight cache "
                "is measured with files exported without --static-lengths"
            )
        if not Path(cache).is_file():
            raise ConversionError(
                f"XNNPACK wrote no weight cache to {cache}: its folder must be writable"
            )

    def logits(self, ids: Ids, mask: Ids, segment_ids: Ids) -> tuple[Logits, Logits]:
        """See `converters.runtimes.predictor.Predictor.logits`."""
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
            self._model.run_by_name(SIGNATURE, self._inputs, self._outputs)
        except (ValueError, RuntimeError) as error:
            raise ConversionError(
                f"{self.name} cannot run {length} tokens: {one_line(error)}"
            ) from error
        start, end = (self._outputs[name].read(length, np.float32) for name in OUTPUTS)
        return start, end

    def _resize(self, length: int) -> None:
        """Make room for `length` tokens; buffers are made for a length and keep it."""
        model = self._model
        for name in INPUTS:
            model.resize_input_tensor_by_name(SIGNATURE, name, [1, length])
        self._inputs = {n: model.create_input_buffer_by_name(SIGNATURE, n) for n in INPUTS}
        self._outputs = {n: model.create_output_buffer_by_name(SIGNATURE, n) for n in OUTPUTS}
        self._length = length
