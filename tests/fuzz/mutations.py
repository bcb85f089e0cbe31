# SPDX-License-Identifier: Apache-2.0
"""Changes bytes and JSON documents at random places, the same ones for the same seed."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

# What parsers trip over: the ends of ranges, counts and offsets that lead out of a file.
NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 1.5, -0.5, 1e308, 2**31, 2**53 - 1, 10**30),
    *(10**400, float("nan"), float("inf"), "\ud800", "1e999", "٣"),
    *("", "a", "[UNK]", "../x", "/", "a" * 3000, "\u202e\x1b[31m", "\n", "\x00", "[/]", "é東"),
    *([], {}, [[]], [None], {"a": {}}, [0] * 50),
)
# Names that a document gets: some that nobody reads, and some that change how a model runs.
KEYS = (
    *("a", "", "path", "\x1b", "x" * 500),
    *("return_dict", "num_labels", "chunk_size_feed_forward", "output_attentions", "dtype"),
)
LONGEST = 64  # bytes of a part that is moved


def of_bytes(data: bytes, picks: random.Random) -> bytes:
    """A copy with one to three changes; never the same content."""
    found = bytearray(data)
    for _ in range(picks.choice((1, 1, 1, 2, 3))):
        _change(found, picks)
    return bytes(found) if bytes(found) != data else data + b"\x00"


def _change(data: bytearray, picks: random.Random) -> None:
    place = picks.randrange(len(data) + 1)
    size = picks.randrange(1, LONGEST)
    kind = picks.randrange(8)
    if kind == 0:
        data[place : place + 1] = bytes([picks.randrange(256)])
    elif kind == 1 and place < len(data):
        data[place] ^= 1 << picks.randrange(8)
    elif kind == 2:
        del data[place : place + size]
    elif kind == 3:
        data[place:place] = picks.randbytes(size)
    elif kind == 4:
        data[place:place] = data[place : place + size]
    elif kind == 5:
        data[place : place + 4] = picks.choice(NUMBERS).to_bytes(4, "little")
    elif kind == 6:
        data[place : place + size] = picks.randbytes(size)
    elif picks.randrange(4) == 0:
        del data[place:]
    else:
        data[place : place + size] = bytes(size)


def of_document(document: Any, picks: random.Random) -> Any:
    """A copy with one value replaced, removed, added or exchanged."""
    found = copy.deepcopy(document)
    places = list(_places(found))
    holder, key = picks.choice(places)
    kind = picks.randrange(5)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        other, its = picks.choice(places)
        holder[key] = copy.deepcopy(other[its])
    elif kind == 2 and isinstance(holder, dict):
        holder[picks.choice(KEYS)] = picks.choice(VALUES)
    else:
        holder[key] = copy.deepcopy(picks.choice(VALUES))
    return found


def _places(value: Any) -> Any:
    """Every place of a document as its holder and its key or index; of long lists, the ends."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = sorted({*range(min(3, len(value))), *range(max(0, len(value) - 2), len(value))})
    for key in keys:
        yield value, key
        yield from _places(value[key])


def text_of(document: Any) -> bytes:
    """A document as JSON; half surrogates are written as escapes."""
    return json.dumps(document).encode()
