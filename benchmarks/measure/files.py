# SPDX-License-Identifier: Apache-2.0
"""Reads JSON, and gives it as text."""

from __future__ import annotations

import json
import os
import re
import stat
from collections import Counter
from pathlib import Path
from typing import Any, Final

# The samples of 10,000 queries and a dozen files take some 10 MB; a larger file is not ours.
LARGEST_BYTES: Final = 64 * 2**20

_OF_A_SHELL: Final = ("/dev/fd/", "/dev/stdin", "/proc/")  # pipes that have a writer


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        ValueError: it cannot be read, is no JSON, or has a key twice or a number that is none.
    """
    try:
        text = _content(path).decode("utf-8")
        return json.loads(text, object_pairs_hook=_members, parse_constant=_no_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"cannot read {path}: {error}") from error


def _content(path: Path) -> bytes:
    """The bytes of a file, or of a pipe of the shell; nothing that may never end is read."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISFIFO(mode) and str(path).startswith(_OF_A_SHELL):
            os.set_blocking(descriptor, True)
        elif not stat.S_ISREG(mode):
            raise ValueError("it is no file, but a pipe or a device")
        data = file.read(LARGEST_BYTES + 1)
    if len(data) > LARGEST_BYTES:
        raise ValueError(f"it has more than {LARGEST_BYTES:,} bytes")
    return data


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = next(key for key in counts if counts[key] > 1)
        raise ValueError(f"it has the key {twice[:40]!r} twice")
    return members


def _no_constant(name: str) -> float:
    raise ValueError(f"it has {name}, which is no number of JSON")


def json_text(document: Any) -> str:
    """A document as JSON that a person can read.

    Raises:
        ValueError: it holds a number that is not finite.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    # A list of numbers on one line: thousands of samples would bury everything else. Strings
    # cannot match, their line breaks are escaped.
    return re.sub(r"\[\n[\d\s.,eE+-]+\]", lambda m: re.sub(r"\s+", " ", m[0]), text) + "\n"
