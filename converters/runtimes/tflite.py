# SPDX-License-Identifier: Apache-2.0
"""A .tflite file in LiteRT."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from converters import ConversionError, one_line
from converters.interface import INPUTS, expected_tensors, interface_of
from converters.runtimes.predictor import Ids, Outputs, checked_length


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
        known = {
            name: interface
            for name, tensors in signatures.items()
            if set(tensors["inputs"]) == set(INPUTS)
            and (interface := interface_of(tensors["outputs"])) is not None
        }
        if not known:
            raise ConversionError(
                f"{path} has the signatures {signatures}: expected {expected_tensors()}; export it "
                "with converters.tflite.export"
            )
        self.interface = next(iter(known.values()))
        runners = [self._interpreter.get_signature_runner(name) for name in known]
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

    def run(self, ids: Ids, mask: Ids, segment_ids: Ids) -> Outputs:
        """See `Predictor.run`; a graph is resized only when S differs from the last call."""
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
        return self.interface.row((found[name] for name in self.interface.names), length)
