# SPDX-License-Identifier: Apache-2.0
"""What the formats' precisions have in common; imports no format's libraries."""

from __future__ import annotations

from collections.abc import Collection

from converters import ConversionError


def check_precision(precision: str, offered: Collection[str]) -> None:
    """Refuse a precision that is not `offered` with a `ConversionError`."""
    if precision not in offered:
        raise ConversionError(f"unknown precision {precision!r}: choose from {', '.join(offered)}")
