# SPDX-License-Identifier: Apache-2.0
"""Reads a file that somebody named: no pipe without a writer, no device without an end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

# The folder inside a model's from which transformers reads every template, whatever its name.
TEMPLATES: Final = "additional_chat_templates"

# What a shell passes for `<(command)` and `-`: pipes that have a writer.
_OF_A_SHELL: Final = ("/dev/fd/", "/dev/stdin", "/proc/")
_REFUSED: Final = "neither a file nor a folder, but a pipe or a device"


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """The content of a file.

    Args:
        path: of the file.
        most: bytes after which to stop; None for all.

    Raises:
        OSError: it cannot be read, or is a pipe or a device, which might never end; or all of it
            is asked for, and it is larger than this machine's memory.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            if not _is_a_shells(path, found):
                raise OSError(errno.EINVAL, _REFUSED, str(path))
            os.set_blocking(descriptor, True)
        if most is None and found.st_size > memory_bytes():  # a file of holes takes no disk
            raise OSError(
                errno.EFBIG, f"{found.st_size:,} bytes, more than this machine's memory", str(path)
            )
        return file.read() if most is None else file.read(most)


def memory_bytes() -> int:
    """The size of this machine's memory; a size that no file has where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # of Windows, and of other systems
        return 2**62


def read_text(path: Path) -> str:
    """The content of a UTF-8 file, with its line breaks as they are.

    Raises:
        OSError: see `read_bytes`.
        UnicodeDecodeError: it is not UTF-8.
    """
    return read_bytes(path).decode("utf-8")


def expanded(name: str | Path) -> Path:
    """A path with `~` as the home folder; as it is where there is no such user."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 - that of pathlib raises


def special(folder: Path) -> Path | None:
    """The first thing in a folder of a model that is a pipe or a device; None without any.

    A library that opens such a thing may wait for ever.
    """
    for place in (folder, folder / TEMPLATES):
        try:
            with os.scandir(place) as entries:
                found = sorted(entry.name for entry in entries if _is_special(entry))
        except OSError:
            continue  # whoever reads the folder says why
        if found:
            return place / found[0]
    return None


def _is_special(entry: os.DirEntry[str]) -> bool:
    try:
        mode = entry.stat().st_mode
    except OSError:
        return False  # a link to nothing
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _is_a_shells(path: Path, found: os.stat_result) -> bool:
    """Whether it is a pipe of a shell's, or the empty device."""
    if stat.S_ISFIFO(found.st_mode):
        return str(path).startswith(_OF_A_SHELL)
    try:
        return stat.S_ISCHR(found.st_mode) and found.st_rdev == Path(os.devnull).stat().st_rdev
    except OSError:
        return False


_BINARY: Final = getattr(os, "O_BINARY", 0)  # of Windows, which would translate line breaks
