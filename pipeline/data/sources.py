# SPDX-License-Identifier: Apache-2.0
"""Where data comes from: the name of what the package carries, and the reading of files."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Final, Literal

from converters import plain_file
from pipeline.errors import UserError

EMBEDDED = "embedded"  # the teacher, the text and the examples that come with the package
NONE = "none"  # in place of a model: there is none
Part = Literal["train", "dev"]
GZIP: Final = b"\x1f\x8b"  # how every gzip file begins
# A gzip file of 1 MB can unpack to 1 GB of zeros, and a larger one to more than any memory holds.
LARGEST_UNPACKED: Final = 2**30
_STEP: Final = 2**20  # bytes that are unpacked at a time


def read_bytes(path: Path) -> bytes:
    """The file's bytes; a UserError where it cannot be read."""
    try:
        return plain_file.read_bytes(path)
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror}; check the path and its rights"
        ) from error


def unpacked(content: bytes, name: str) -> bytes:
    """What a gzip file holds.

    Args:
        content: its bytes.
        name: of the file, for messages.

    Raises:
        UserError: it is damaged, or holds more than `LARGEST_UNPACKED` bytes.
    """
    parts, size = [], 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            while part := file.read(_STEP):
                size += len(part)
                if size > LARGEST_UNPACKED:
                    raise UserError(
                        f"{name} unpacks to more than {LARGEST_UNPACKED:,} bytes: if that is "
                        "right, unpack it with gunzip and name the plain file"
                    )
                parts.append(part)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(
            f"{name} is a damaged gzip file ({error}): fetch or export it again"
        ) from error
    return b"".join(parts)
