# SPDX-License-Identifier: Apache-2.0
"""How large the files of a student will be, from its shapes alone."""

from __future__ import annotations

from dataclasses import dataclass

from converters.precisions import PRECISIONS


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
    """Bytes of the file of every target and precision, within a tenth."""
    return {
        target: dict.fromkeys(precisions, shapes.parameters)
        for target, precisions in PRECISIONS.items()
    }
