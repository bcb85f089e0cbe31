# SPDX-License-Identifier: Apache-2.0
"""Writes a file whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from converters import ConversionError


def write(data: bytes, path: str | Path) -> Path:
    """Write `data` to `path`, whose folder is made, and return the path.

    Raises:
        ConversionError: the file system refuses; an older file at `path` is then still there.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        raise ConversionError(f"cannot write {path}: {error.strerror}; free or fix it") from error
    finally:
        temporary.unlink(missing_ok=True)
    return path
