# SPDX-License-Identifier: Apache-2.0
"""Reads JSON, and gives it as text."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any, Final

_OF_A_SHELL: Final = ("/dev/fd/", "/dev/stdin", "/proc/")  # pipes that have a writer


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        ValueError: it cannot be read, is no JSON, or has a key twice or a number that is none.
    """
    try:
        if stat.S_ISFIFO(path.stat().st_mode) and not str(path).startswith(_OF_A_SHELL):
            raise ValueError("it is a pipe, which nobody may ever write to")
        text = path.read_text("utf-8")
        return json.loads(text, object_pairs_hook=_members, parse_constant=_no_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"cannot read {path}: {error}") from error


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        twice = next(key for place, (key, _) in enumerate(pairs) if key in dict(pairs[:place]))
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
