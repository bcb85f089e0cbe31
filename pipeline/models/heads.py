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
        missing: beginning of the names of BERT's tensors that a checkpoint without the head lacks.
    """

    interface: Interface
    moves: Mapping[str, str]
    missing: str

    @property
    def bert(self) -> str:
        """The class of transformers for the teacher."""
        return f"Bert{self.interface.head}"

    @property
    def distilbert(self) -> str:
        """The class of transformers for the student."""
        return f"DistilBert{self.interface.head}"


SPAN_HEAD = Head(SPANS, {"qa_outputs": "qa_outputs"}, "qa_outputs.")
CLASS_HEAD = Head(
    CLASSES, {"pooler.dense": "pre_classifier", "classifier": "classifier"}, "classifier."
)
HEADS = (SPAN_HEAD, CLASS_HEAD)
