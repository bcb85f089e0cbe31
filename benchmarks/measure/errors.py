# SPDX-License-Identifier: Apache-2.0
"""How far a model's logits are from those of the fp32 model that it was made from.

A file can be fast because it computes less exactly, so its error belongs beside its time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from benchmarks.measure.schema import LogitError

Floats = npt.NDArray[np.float32]

# Queries whose logits are compared, each at its own length and padded. An fp32 reference at the
# size of BERT-base takes about half a second for a padded one.
COMPARED = 16


def joined(outputs: Sequence[Any], length: int, size: int) -> Floats:
    """All logits of one input, (N,), without those of its padding.

    Args:
        outputs: of the model: (S,) or (1, S) for tokens, (C,) or (1, C) for classes.
        length: the number of tokens.
        size: S, the number of tokens and padding.
    """
    flat = [np.asarray(each, np.float32).reshape(-1) for each in outputs]
    return np.concatenate([each[:length] if len(each) == size else each for each in flat])


def logit_error(
    own: Sequence[Floats], reference: Sequence[Floats], name: str, inputs: int
) -> LogitError:
    """The largest difference of a logit, and what it is measured against.

    Args:
        own: the logits of each input, (N,).
        reference: those of the reference for the same inputs.
        name: what documents call the reference.
        inputs: how many distinct inputs there are.

    Raises:
        ValueError: the two have other numbers of logits, so that they are of different models.
    """
    mine, theirs = np.concatenate(own), np.concatenate(reference)
    if mine.shape != theirs.shape:
        raise ValueError(
            f"the reference {name} gives {theirs.size} logits where a file gives {mine.size}: give "
            "the model that the file was exported from"
        )
    largest = float(np.abs(mine.astype(np.float64) - theirs).max())
    return {
        "largest": largest if np.isfinite(largest) else None,
        "range": float(theirs.max() - theirs.min()),
        "reference": name,
        "inputs": inputs,
    }
