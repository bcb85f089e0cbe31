# SPDX-License-Identifier: Apache-2.0
"""The PyTorch model that files come from."""

from __future__ import annotations

import inspect
from typing import Any

from converters import ConversionError, one_line
from converters.interface import interface_of_class
from converters.runtimes.predictor import Ids, Outputs, checked_length


class TorchPredictor:
    """A Hugging Face model with a head in PyTorch, on its device: the reference."""

    def __init__(self, model: Any, name: str, threads: int | None = None) -> None:
        """Put `model` into eval mode; `threads` counts for PyTorch in the whole process."""
        import torch

        if threads is not None:
            torch.set_num_threads(threads)
        self.name = name
        self.interface = interface_of_class(type(model).__name__)
        self.max_length = int(model.config.max_position_embeddings)
        self._torch, self._model = torch, model.eval()
        self._takes_segments = "token_type_ids" in inspect.signature(model.forward).parameters

    def run(self, ids: Ids, mask: Ids, segment_ids: Ids) -> Outputs:
        """See `Predictor.run`; padding gets the bias that exported graphs add themselves."""
        length = checked_length(self, ids, mask, segment_ids)
        arrays = {"input_ids": ids, "attention_mask": mask}
        if self._takes_segments:
            arrays["token_type_ids"] = segment_ids
        arguments = {
            name: self._torch.as_tensor(array, dtype=self._torch.int64, device=self._model.device)
            for name, array in arrays.items()
        }
        try:
            with self._torch.inference_mode():
                output = self._model(**arguments)
        except Exception as error:  # whatever layers make of an odd value of config.json
            raise ConversionError(
                f"{self.name} cannot run {length} tokens: {one_line(error)}; check that "
                "config.json, weights and tokenizer belong to the same model"
            ) from error
        found = (output[name].float().cpu().numpy() for name in self.interface.names)
        return self.interface.masked(self.interface.row(found, length), mask)
