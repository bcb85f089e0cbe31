# SPDX-License-Identifier: Apache-2.0
"""Where data comes from: the name of what the package carries, and the reading of files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pipeline.errors import UserError

EMBEDDED = "embedded"  # the teacher, the text and the examples that come with the package
Part = Literal["train", "dev"]


def read_bytes(path: Path) -> bytes:
    """The file's bytes; a UserError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror}; check the path and its rights"
        ) from error
