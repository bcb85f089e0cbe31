# SPDX-License-Identifier: Apache-2.0
"""Reads the JSON of a benchmark that somebody named."""

from __future__ import annotations

import errno
import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

from converters import plain_file

# The samples of 10,000 queries and a dozen files take some 10 MB; a larger file is not ours.
LARGEST_BYTES: Final = 64 * 2**20


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        ValueError: it cannot be read, is no JSON, or has a key twice or a number that is none.
    """
    try:
        data = plain_file.read_bytes(path, LARGEST_BYTES + 1)
        if len(data) > LARGEST_BYTES:
            raise ValueError(f"it has more than {LARGEST_BYTES:,} bytes")
        text = data.decode("utf-8")
        return json.loads(text, object_pairs_hook=_members, parse_constant=_no_constant)
    except OSError as error:
        special = error.errno == errno.EINVAL
        why = "it is no file, but a pipe or a device" if special else error
        raise ValueError(f"cannot read {path}: {why}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot read {path}: {error}") from error


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = next(key for key in counts if counts[key] > 1)
        raise ValueError(f"it has the key {twice[:40]!r} twice")
    return members


def _no_constant(name: str) -> float:
    raise ValueError(f"it has {name}, which is no number of JSON")
