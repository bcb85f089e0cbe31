# SPDX-License-Identifier: Apache-2.0
"""What every exported file is opened as; this module imports next to nothing."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from converters import ConversionError
from converters.interface import INPUTS, Interface

Ids = NDArray[np.int32]
Outputs = tuple[NDArray[np.float32], ...]


class Predictor(Protocol):
    """A file or a model, opened to be run one input at a time.

    Attributes:
        name: what reports call it.
        interface: what it gives.
        max_length: the largest S.
    """

    name: str
    interface: Interface
    max_length: int

    def run(self, ids: Ids, mask: Ids, segment_ids: Ids) -> Outputs:
        """Run once.

        Args:
            ids: token ids, int32 (1, S); S may change from call to call.
            mask: 1 for a token, 0 for padding, int32 (1, S).
            segment_ids: 0 for the first text, 1 for the second, int32 (1, S).

        Returns:
            The outputs in the interface's order, owned by the caller: float32 (S,) for tokens,
            about `MASK_BIAS` at padding; (C,) for classes.

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
