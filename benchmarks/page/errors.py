# SPDX-License-Identifier: Apache-2.0
"""How the largest logit error of a subject is written beside its times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEADING = "Largest logit error"

# What the figures of the column mean, for a sentence near the table.
MEANING = (
    "The largest logit error is the largest difference between a logit of a file and that of the "
    "fp32 model it was made from, on the same inputs; the percentage is its share of the range of "
    "that model's logits"
)


def error_cell(error: Mapping[str, Any] | None) -> str:
    """A `LogitError` for a table: its value, and its share of the range of all logits."""
    if error is None:
        return "not measured"
    if error["largest"] is None:
        return "not finite"
    share = f" ({100 * error['largest'] / error['range']:.2g} %)" if error["range"] else ""
    return f"{error['largest']:.3g}{share}"
