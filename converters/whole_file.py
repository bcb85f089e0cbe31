# SPDX-License-Identifier: Apache-2.0
"""Writes a file whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from converters import ConversionError


def write(path: Path, content: bytes | str) -> Path:
    """Write a file, and never into one that has a second name; text is written as UTF-8.

    A temporary file beside it takes its place once it is complete, so that a process that is killed
    or a full disk leaves the older file.

    Returns:
        The path.

    Raises:
        OSError: the file system refuses; an older file at `path` is then still there.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def check_out(path: Path) -> None:
    """Makes the folder of a file that is written at the end, before the work of hours.

    Raises:
        ConversionError: the file, which `--out` names, could not be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fits = path.name and not path.is_dir() and os.access(path.parent, os.W_OK)
    except OSError:  # such as a file in the place of the folder
        fits = False
    if not fits:
        raise ConversionError(f"--out {path} cannot be written: name a file in a folder of yours")


def export(path: str | Path, content: bytes | str) -> Path:
    """Write a file that a user asked for by its path; its folder is made.

    Returns:
        The path.

    Raises:
        ConversionError: the file system refuses; see `write`.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return write(path, content)
    except OSError as error:
        raise ConversionError(f"cannot write {path}: {error.strerror}; free or fix it") from error
