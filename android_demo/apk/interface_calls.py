# SPDX-License-Identifier: Apache-2.0
"""Mends Java classes that dex2jar made of a dex file, so that a JVM runs them.

    python interface_calls.py dex.jar FOLDER

A dex file does not say of a static call whether its owner is an interface, and dex2jar says it
never is; a JVM refuses such a call.  Here the owners are at hand: constants that name a method of
an interface of the same jar become those of interface methods (Java VM specification, 4.4.2).
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping
from pathlib import Path

from aligned_zip import entries_of

METHOD, INTERFACE_METHOD = 10, 11
UTF8 = 1
IS_INTERFACE = 0x0200

# Bytes after the tag of each constant but UTF8, which tells its own.
SIZES = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4}
SIZES |= {15: 3, 16: 2, 17: 4, 18: 4, 19: 2, 20: 2}
TWO_PLACES = (5, 6)  # long and double


def mended(classes: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same classes with every call of an interface's method named as one.

    Args:
        classes: class files by name, such as "a/B".
    """
    tables = {name: _constants(data) for name, data in classes.items()}
    interfaces = {
        name
        for name, data in classes.items()
        if struct.unpack_from(">H", data, tables[name][1])[0] & IS_INTERFACE
    }
    found = {}
    for name, data in classes.items():
        places, _ = tables[name]
        changed = bytearray(data)
        for place in places.values():
            if data[place] == METHOD and _owner(data, places, place) in interfaces:
                changed[place] = INTERFACE_METHOD
        found[name] = bytes(changed)
    return found


def _constants(data: bytes) -> tuple[dict[int, int], int]:
    """Where each constant's tag lies, by its number; and where the table ends."""
    (count,) = struct.unpack_from(">H", data, 8)
    places, number, at = {}, 1, 10
    while number < count:
        places[number] = at
        tag = data[at]
        size = 2 + struct.unpack_from(">H", data, at + 1)[0] if tag == UTF8 else SIZES[tag]
        at += 1 + size
        number += 2 if tag in TWO_PLACES else 1
    return places, at


def _owner(data: bytes, places: Mapping[int, int], method: int) -> str:
    """The class that a method's constant names."""
    (owner,) = struct.unpack_from(">H", data, method + 1)
    (name,) = struct.unpack_from(">H", data, places[owner] + 1)
    (length,) = struct.unpack_from(">H", data, places[name] + 1)
    start = places[name] + 3
    return data[start : start + length].decode("utf-8", "replace")


def main() -> None:
    """Writes the mended classes of a jar below a folder."""
    jar, folder = map(Path, sys.argv[1:])
    entries = [entry for entry in entries_of(jar) if entry.name.endswith(".class")]
    classes = {entry.name.removesuffix(".class"): entry.data for entry in entries}
    for name, data in mended(classes).items():
        path = folder / f"{name}.class"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    main()
