# SPDX-License-Identifier: Apache-2.0
"""What every exported file is opened as; this module imports next to nothing."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from converters import INPUTS, ConversionError
from converters import one_line as one_line

Ids = NDArray[np.int32]
Logits = NDArray[np.float32]


class Predictor(Protocol):
    """Scores every token of one window as the start and the end of the answer.

    Attributes:
        name: what reports call it.
        max_length: the largest S.
    """

    name: str
    max_length: int

    def logits(self, ids: Ids, mask: Ids, segment_ids: Ids) -> tuple[Logits, Logits]:
        """Run once.

        Args:
            ids: token ids, int32 (1, S); S may change from call to call.
            mask: 1 for a token, 0 for padding, int32 (1, S).
            segment_ids: 0 for the question, 1 for the context, int32 (1, S).

        Returns:
            start and end logits, float32 (S,), owned by the caller; about `MASK_BIAS` at padding.

        Raises:
            ConversionError: a shape or a length that the model cannot take.
        """
        ...


def checked_length(predictor: Predictor, *arrays: Ids, rows: int | None = 1) -> int:
    """The common S of three (rows, S) arrays, refused if it does not fit; None is any number."""
    shapes = {np.shape(array) for array in arrays}
    shape = shapes.pop()
    if shapes or len(shape) != 2 or shape[0] != (rows or max(shape[0], 1)):
        raise ConversionError(
            f"{', '.join(INPUTS)} have shapes {[np.shape(array) for array in arrays]}: "
            f"pass three arrays of the same shape ({rows or 'B'}, S)"
        )
    if not 1 <= shape[1] <= predictor.max_length:
        raise ConversionError(
            f"{shape[1]} tokens do not fit {predictor.name}: pass 1 to {predictor.max_length}"
        )
    return int(shape[1])
