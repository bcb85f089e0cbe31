# SPDX-License-Identifier: Apache-2.0
"""A Core ML package in Core ML, or evaluated operation by operation."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from converters import ConversionError, one_line
from converters.interface import INPUTS, expected_tensors, interface_of
from converters.quiet import quiet
from converters.runtimes.predictor import Ids, Outputs, checked_length


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
            interface = interface_of(function.outputs)
            if set(function.inputs) != set(INPUTS) or interface is None:
                raise ConversionError(
                    f"{path}, {name} takes {', '.join(function.inputs)} and gives "
                    f"{', '.join(function.outputs)}: expected {expected_tensors()}; export it with "
                    "converters.coreml.export"
                )
            self.interface = interface
        self._by_length = sorted(program.functions.items(), key=lambda item: item[1].largest)
        self.max_length = self._by_length[-1][1].largest
        self._run = _core_ml(Path(path)) if sys.platform == "darwin" else program.run

    def run(self, ids: Ids, mask: Ids, segment_ids: Ids) -> Outputs:
        """See `Predictor.run`."""
        length = checked_length(self, ids, mask, segment_ids)
        name, function = next(item for item in self._by_length if item[1].largest >= length)
        extra = ((0, 0), (0, max(length, function.smallest) - length))
        arrays = zip(INPUTS, (ids, mask, segment_ids), strict=True)
        inputs = {key: np.pad(np.asarray(array, np.int32), extra) for key, array in arrays}
        found = self._run(inputs, name)
        return self.interface.row((found[key] for key in self.interface.names), length)


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
