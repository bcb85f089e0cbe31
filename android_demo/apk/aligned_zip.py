# SPDX-License-Identifier: Apache-2.0
"""Zip files whose stored entries begin where a phone can map them into memory.

As `zipalign -P 16` lays them out: native libraries at 16 KiB, for phones with pages of that size,
whatever else is stored at 4 bytes.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PAGE = 16384  # bytes; of phones with large pages, a multiple of those with pages of 4 KiB
WORD = 4

# The extra field that Android's tools put padding into: its id, and id, size and alignment in it.
PADDING_ID = 0xD935
PADDING_HEAD = 6
LOCAL_HEADER = 30  # bytes before an entry's name
YEAR_ZERO = (1981, 1, 1, 1, 1, 2)  # as Android's tools write it: the same input, the same bytes


@dataclass(frozen=True)
class Entry:
    """A file in the zip.

    Attributes:
        name: its path.
        data: its content.
        stored: whether it is not compressed.
    """

    name: str
    data: bytes
    stored: bool = False

    @property
    def alignment(self) -> int:
        """What the offset of its content is a multiple of, bytes."""
        if not self.stored:
            return 1
        return PAGE if self.name.endswith(".so") else WORD


def entries_of(path: Path) -> list[Entry]:
    """The files in a zip, in their order; folders are left out."""
    with zipfile.ZipFile(path) as archive:
        return [
            Entry(info.filename, archive.read(info), info.compress_type == zipfile.ZIP_STORED)
            for info in archive.infolist()
            if not info.is_dir()
        ]


def write(path: Path, entries: Iterable[Entry]) -> None:
    """Writes a zip with every stored entry aligned.

    Raises:
        ValueError: two entries have the same name, of which a phone would see either.
    """
    seen = set()
    with path.open("wb") as file, zipfile.ZipFile(file, "w") as archive:
        for entry in entries:
            if entry.name in seen:
                raise ValueError(f"{entry.name} is there twice")
            seen.add(entry.name)
            info = zipfile.ZipInfo(entry.name, YEAR_ZERO)
            info.compress_type = zipfile.ZIP_STORED if entry.stored else zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            begins = file.tell() + LOCAL_HEADER + len(entry.name.encode())
            info.extra = _padding(begins, entry.alignment)
            archive.writestr(info, entry.data, compresslevel=None if entry.stored else 9)


def offsets(path: Path) -> dict[str, int]:
    """Where the content of each stored entry begins, bytes, by its name."""
    found = {}
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        for info in archive.infolist():
            if info.compress_type == zipfile.ZIP_STORED:
                # The local header's own lengths: the directory at the end may tell others.
                file.seek(info.header_offset + LOCAL_HEADER - 4)
                name, extra = struct.unpack("<HH", file.read(4))
                found[info.filename] = info.header_offset + LOCAL_HEADER + name + extra
    return found


def misaligned(path: Path) -> list[str]:
    """The stored entries that do not begin where they should."""
    return [
        name
        for name, offset in offsets(path).items()
        if offset % Entry(name, b"", stored=True).alignment
    ]


def _padding(begins: int, alignment: int) -> bytes:
    """An extra field after which content that would begin at `begins` is aligned."""
    if alignment == 1 or begins % alignment == 0:
        return b""
    size = -begins % alignment
    while size < PADDING_HEAD:
        size += alignment
    return struct.pack("<HHH", PADDING_ID, size - 4, alignment) + bytes(size - PADDING_HEAD)
