# SPDX-License-Identifier: Apache-2.0
"""The one way from an example to a prediction: inputs, the model's outputs, decoding."""

from __future__ import annotations

import queue
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np

from converters.interface import Interface

Outputs = tuple[np.ndarray, ...]
I = TypeVar("I", bound="Input")  # noqa: E741 - input
P = TypeVar("P")


class Model(Protocol):
    """Anything that runs one input: `converters.runtimes.predictor.Predictor` and tests' own."""

    def run(self, ids: np.ndarray, mask: np.ndarray, segment_ids: np.ndarray) -> Outputs:
        """Maps int32 [1, S] each to the outputs of the interface, float32 [S] or [C]."""
        ...


class Input(Protocol):
    """One input of a model: int32 [S] each."""

    @property
    def ids(self) -> np.ndarray:
        """Word-piece ids."""
        ...

    @property
    def segment_ids(self) -> np.ndarray:
        """0 for the first text, 1 for the second."""
        ...


@dataclass(frozen=True)
class Reading(Generic[I, P]):
    """How a model came to its prediction.

    Attributes:
        inputs: that the example was made into.
        outputs: of the model for each input, float32 [S] or [C], padding cut off.
        prediction: what was decoded from them.
        tokenize_ms, infer_ms, decode_ms: time spent, milliseconds.
    """

    inputs: list[I]
    outputs: list[Outputs]
    prediction: P
    tokenize_ms: float = 0.0
    infer_ms: float = 0.0
    decode_ms: float = 0.0


class Reader(ABC, Generic[I, P]):
    """A model with everything around it: example in, prediction out.

    Args:
        model: runs one input.
        pad_id: the id of [PAD].
        pad_to: pad every input to this length; None runs each at its own length.
        more: the same model opened again, once for each further input that is run at a time: no
            runtime lets two threads share a model.

    Attributes:
        interface: what the model takes and gives; says which outputs have padding.
    """

    interface: ClassVar[Interface]

    def __init__(
        self, model: Model, pad_id: int, pad_to: int | None = None, more: Sequence[Model] = ()
    ) -> None:
        self.model, self.pad_id, self.pad_to = model, pad_id, pad_to
        self.more = tuple(more)

    @abstractmethod
    def encode(self, example: Any) -> list[I]:
        """The inputs of one example."""

    @abstractmethod
    def decode(self, example: Any, inputs: Sequence[I], outputs: Sequence[Outputs]) -> P:
        """The prediction for an example, from the model's outputs for each of its inputs."""

    def outputs(self, inputs: Sequence[I]) -> list[Outputs]:
        """The model's outputs for each input, float32 [S] or [C], padding cut off."""
        if not self.more or len(inputs) < 2:
            return [self._run(self.model, each) for each in inputs]
        free: queue.SimpleQueue[Model] = queue.SimpleQueue()
        for model in (self.model, *self.more):
            free.put(model)

        def run(each: I) -> Outputs:
            model = free.get()
            try:
                return self._run(model, each)
            finally:
                free.put(model)

        with ThreadPoolExecutor(1 + len(self.more)) as threads:
            return list(threads.map(run, inputs))

    def read(self, example: Any) -> Reading[I, P]:
        """The prediction for an example, with what it was read out of and the time of each step."""
        clock = time.perf_counter
        began = clock()
        inputs = self.encode(example)
        tokenized = clock()
        outputs = self.outputs(inputs)
        inferred = clock()
        prediction = self.decode(example, inputs, outputs)
        decoded = clock()
        return Reading(
            inputs,
            outputs,
            prediction,
            tokenize_ms=(tokenized - began) * 1e3,
            infer_ms=(inferred - tokenized) * 1e3,
            decode_ms=(decoded - inferred) * 1e3,
        )

    def _run(self, model: Model, each: I) -> Outputs:
        length = len(each.ids)
        extra = max(0, (self.pad_to or 0) - length)
        ids = np.pad(each.ids, (0, extra), constant_values=self.pad_id)[None]  # [S] -> [1, S]
        mask = np.pad(np.ones(length, np.int32), (0, extra))[None]
        segment_ids = np.pad(each.segment_ids, (0, extra))[None]
        found = model.run(ids, mask, segment_ids)
        # Outputs for tokens lose the padding again. Their length would not tell them: there may be
        # as many classes as there are tokens.
        return tuple(
            values[:length] if output.axis == "token" else values
            for output, values in zip(self.interface.outputs, found, strict=True)
        )
