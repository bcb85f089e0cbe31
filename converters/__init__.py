# SPDX-License-Identifier: Apache-2.0
"""A trained student (or its teacher) to files that phones run."""

from __future__ import annotations


class ConversionError(Exception):
    """A model or a file cannot be converted, opened or used; one line for the user."""
