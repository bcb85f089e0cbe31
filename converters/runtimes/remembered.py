# SPDX-License-Identifier: Apache-2.0
"""Remembers the SHA-256 of large files, so that a file is read once and not at every start.

A digest is remembered for the file's inode, size, and times of change, among them the one that the
system alone sets (`st_ctime_ns`). A second memory holds the digests of contents that a runtime has
run, see `trial`. Both are files in the user's cache folder; where that cannot be read or written,
every digest is computed anew, and every file is tried again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from converters import plain_file, whole_file

# Smaller files are read in a few milliseconds.
SMALLEST_BYTES: Final = 4 * 2**20

# File systems count time in steps, the coarsest of them (FAT) of 2 s: a file that changed less than
# this before it was read could change again without a new time.
SETTLED_SECONDS: Final = 3.0

MOST_FILES: Final = 256
_LARGEST_BYTES: Final = 2**20  # of a memory


def memory() -> Path:
    """The file that holds the digests: in `XDG_CACHE_HOME`, or else in `~/.cache`."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache"
    return folder / "distilbert-mobile" / "checksums.json"


def tried(content: str) -> bool:
    """Whether a content, named by `keep_tried`, is remembered as one that ran."""
    return content in _list()


def keep_tried(content: str) -> None:
    """Remember that a content ran; it is named by its digest and what it ran in."""
    known = [each for each in _list() if each != content]
    _write(_tried, [*known, content][-MOST_FILES:])


def _tried() -> Path:
    return memory().with_name("tried.json")


def _list() -> list[str]:
    found = _read(_tried)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def sha256(path: Path) -> str:
    """Hex digest of a file's content, remembered if the file is large.

    Raises:
        OSError: the file cannot be read.
    """
    before = path.stat()
    if before.st_size < SMALLEST_BYTES:
        return read(path)
    key = str(path.resolve())
    mark = state(before)
    known = _known()
    if known.get(key, {}).get("mark") == mark:
        return str(known[key]["sha256"])
    found = read(path)
    after = path.stat()
    changed = max(after.st_mtime_ns, after.st_ctime_ns) / 1e9
    if state(after)[2:] == mark[2:] and time.time() - changed > SETTLED_SECONDS:
        known.pop(key, None)
        known[key] = {"mark": mark, "sha256": found}
        _write(memory, dict(list(known.items())[-MOST_FILES:]))
    return found


def state(found: os.stat_result) -> list[int]:
    """What a file does not keep if it is replaced or changed."""
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def read(path: Path) -> str:
    """Hex digest of a file's content, read now."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _known() -> dict[str, Any]:
    """What is remembered; nothing if the memory is missing, damaged or anybody else's."""
    found = _read(memory)
    if not isinstance(found, dict):
        return {}
    return {
        key: value
        for key, value in found.items()
        if isinstance(value, dict) and isinstance(value.get("sha256"), str)
    }


def _read(place: Callable[[], Path]) -> Any:
    try:
        return json.loads(plain_file.read_bytes(place(), _LARGEST_BYTES))
    except (OSError, ValueError, RuntimeError, RecursionError):  # RuntimeError: no home
        return None


def _write(place: Callable[[], Path], known: Any) -> None:
    try:
        place().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        whole_file.write(place(), json.dumps(known))
    except (OSError, ValueError, RuntimeError):
        pass  # a read-only home, a full disk: the next run reads the file again
