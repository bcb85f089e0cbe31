# SPDX-License-Identifier: Apache-2.0
"""The heads that transformers puts on BERT and DistilBERT, and how one becomes the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from converters.interface import CLASSES, SPANS, Interface


@dataclass(frozen=True)
class Head:
    """One kind of head.

    Attributes:
        interface: what files with this head give.
        moves: where a part of BERT's head lies in DistilBERT's; a student starts from these.
    """

    interface: Interface
    moves: Mapping[str, str]

    @property
    def outputs(self) -> int | None:
        """How many outputs it always has; None where the number of classes decides."""
        by_token = all(output.axis == "token" for output in self.interface.outputs)
        return len(self.interface.outputs) if by_token else None

    def model(self, kind: str) -> str:
        """The class of transformers with this head for "bert" or "distilbert"."""
        return {"bert": "Bert", "distilbert": "DistilBert"}[kind] + self.interface.head

    def parts(self, kind: str) -> tuple[str, ...]:
        """Beginnings of the names of its tensors, which a checkpoint without the head lacks."""
        names = self.moves.values() if kind == "distilbert" else self.moves
        # BERT's pooler belongs to the encoder: checkpoints without a head have it as well.
        return tuple(f"{name}." for name in names if not name.startswith("pooler"))


SPAN_HEAD = Head(SPANS, {"qa_outputs": "qa_outputs"})
CLASS_HEAD = Head(CLASSES, {"pooler.dense": "pre_classifier", "classifier": "classifier"})
HEADS = (SPAN_HEAD, CLASS_HEAD)
