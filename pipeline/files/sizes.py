# SPDX-License-Identifier: Apache-2.0
"""How large the files of a student will be, from its shapes alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from converters.precisions import PRECISIONS

# Precision -> bits of a parameter in the tables, in the linear layers, and elsewhere.  int4 has a
# scale of 16 bits for 32 weights; of the targets, Core ML alone stores tables in it.  What `mixed`
# stores in int4 is measured later, so that it is taken for int8: no file is larger.
BITS: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "int8": (8, 8, 32),
        "int8-per-tensor": (8, 8, 32),
        "fp32": (32, 32, 32),
        "fp16": (16, 16, 16),
        "palette6": (6, 6, 16),
        "int4": (8, 4.5, 32),
        "mixed": (8, 8, 32),
    }
)
PACKED = ("tflite", "coreml")  # whose files contain the vocabulary
GRAPH_BYTES, LAYER_BYTES = 12_000, 6_000  # operators, names, shapes and scales


@dataclass(frozen=True)
class Shapes:
    """What decides the size of a student's files.

    Attributes:
        kind: "bert" or "distilbert".
        layers: L.
        width: D, of a hidden state.
        inner: of the feed-forward layers.
        pieces: V, of the vocabulary.
        positions: P, the longest input.
        dense: whether the head has a layer of D x D before its outputs.
        outputs: of the head.
        vocabulary_bytes: of vocab.txt, which some files contain.
    """

    kind: str
    layers: int
    width: int
    inner: int
    pieces: int
    positions: int
    dense: bool
    outputs: int
    vocabulary_bytes: int

    @property
    def tables(self) -> int:
        """Parameters of the tables of embeddings."""
        segments = 2 if self.kind == "bert" else 0
        return (self.pieces + self.positions + segments) * self.width

    @property
    def weights(self) -> int:
        """Parameters of the linear layers without their biases."""
        layer = 4 * self.width**2 + 2 * self.width * self.inner
        return self.layers * layer + self.width * (self.outputs + self.width * self.dense)

    @property
    def others(self) -> int:
        """Parameters of biases and norms."""
        layer = 9 * self.width + self.inner
        return self.layers * layer + 2 * self.width + self.outputs + self.width * self.dense

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.tables + self.weights + self.others


def about(shapes: Shapes) -> dict[str, dict[str, int]]:
    """Bytes of the file of every target and precision, within a tenth from a million parameters on.

    Measured at 1 to 17 million parameters, see the tests; a smaller file is mostly its graph.
    """
    return {
        target: {precision: _bytes(target, precision, shapes) for precision in precisions}
        for target, precisions in PRECISIONS.items()
    }


def _bytes(target: str, precision: str, shapes: Shapes) -> int:
    tables, weights, others = BITS[precision]
    if (target, precision) == ("coreml", "int4"):
        tables = weights
    bits = shapes.tables * tables + shapes.weights * weights + shapes.others * others
    packed = shapes.vocabulary_bytes if target in PACKED else 0
    return int(bits / 8) + packed + GRAPH_BYTES + LAYER_BYTES * shapes.layers
