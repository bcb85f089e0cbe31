# SPDX-License-Identifier: Apache-2.0
"""Reads tables of texts: CSV, TSV, JSON Lines, plain or in gzip, as rows by column name.

CSV is that of RFC 4180, with commas or semicolons.  TSV comes in two kinds: quoted like CSV, as
spreadsheets and pandas write it, and not quoted, as GLUE has it, where a quotation mark is a
character like any other.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converters import sealed
from pipeline.data.sources import Part, read_bytes, unpacked
from pipeline.errors import UserError
from pipeline.tasks.text_classification import glue

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".txt")
# What a folder may call its parts.
PARTS: dict[Part, tuple[str, ...]] = {
    "train": ("train",),
    "dev": ("dev", "dev_matched", "validation", "valid", "test"),
}

# Control characters, the mark of a byte order and what has no width: a column of such a name looks
# like another one, and would be passed over.
_UNSEEN = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u200b\u2060\ufeff]")
_BLANKS = " \t\r\n\ufeff"


@dataclass(frozen=True)
class Row:
    """One row: where it stands, for messages, and its values by column."""

    place: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Table:
    """What a file holds.

    Attributes:
        name: of the file.
        content: its bytes as they were read.
        columns: in the order of the file.
        rows: without empty ones.
        skipped: how many rows of a file of GLUE's were left out, which are cut off.
    """

    name: str
    content: bytes
    columns: tuple[str, ...]
    rows: list[Row]
    skipped: int = 0


def part_of(folder: Path, part: Part) -> Path:
    """The file of a folder that holds a part, such as `train.tsv`.

    Raises:
        UserError: there is none.
    """
    for name in PARTS[part]:
        for suffix in SUFFIXES:
            for ending in (suffix, f"{suffix}.gz"):
                if (folder / f"{name}{ending}").is_file():
                    return folder / f"{name}{ending}"
    raise UserError(
        f"{folder} holds no {' or '.join(PARTS[part])} file that ends in "
        f"{', '.join(SUFFIXES)}: name the file itself"
    )


def read_table(path: Path, task: str = "") -> Table:
    """Reads a file.

    Args:
        path: ends in one of `SUFFIXES`, and then perhaps in .gz.
        task: of GLUE, a key of `glue.LAYOUTS`, whose layout the file has if it is a .tsv.

    Raises:
        UserError: it cannot be read, is not UTF-8, is empty or not in its format; the line is
            named.
    """
    content, name = read_bytes(path), path.name
    data, kind = content, path.suffix.lower()
    if kind == ".gz":
        kind = Path(path.stem).suffix.lower()
        data = unpacked(content, name)
    if kind not in SUFFIXES:
        raise UserError(
            f"{name}: a file of texts ends in {', '.join(SUFFIXES)}, and then in .gz or not"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 text (byte {error.start}): convert it") from error
    if "\0" in text:
        raise UserError(
            f"{name} holds NUL characters, as UTF-16 and binary files do: convert it to UTF-8 text"
        )
    if not text.strip():
        raise UserError(f"{name} is empty: name a file with texts and labels")
    if kind in (".jsonl", ".json"):
        columns, rows = _objects(text, name)
        return Table(name, content, columns, rows)
    lines = _quoted(text, name, _delimiter(text)) if kind == ".csv" else _tabs(text, name, task)
    return _as_table(lines, name, content, task)


Line = tuple[int, list[str]]  # with its number, from 1


def _delimiter(text: str) -> str:
    """A semicolon where the header has no comma but one of these."""
    header = text.lstrip().partition("\n")[0]
    return ";" if ";" in header and "," not in header else ","


def _quoted(text: str, name: str, delimiter: str) -> list[Line]:
    """The lines of a quoted file (RFC 4180); a field may hold line breaks."""
    before = csv.field_size_limit(sys.maxsize)  # reviews are longer than the default
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        found, start = [], 1
        for fields in reader:
            found.append((start, fields))
            start = reader.line_num + 1
        return found
    except csv.Error as error:
        raise UserError(
            f"{name}, line {reader.line_num}: {error}: put fields that hold a quotation mark or "
            f"{delimiter!r} into quotation marks and double those inside"
        ) from error
    finally:
        csv.field_size_limit(before)


def _tabs(text: str, name: str, task: str) -> list[Line]:
    r"""The lines of a TSV file; not `splitlines`, which also cuts at characters of sentences."""
    lines = text.replace("\r\n", "\n").split("\n")
    plain = [(number, line.split("\t")) for number, line in enumerate(lines, 1) if line.strip()]
    if task or '"' not in text or glue.has_no_header(plain[0][1]):
        return plain
    try:
        quoted = [line for line in _quoted(text, name, "\t") if any(line[1])]
    except UserError:
        return plain
    width = len(quoted[0][1]) if quoted else 0
    return quoted if all(len(fields) == width for _, fields in quoted) else plain


def _as_table(lines: Sequence[Line], name: str, content: bytes, task: str) -> Table:
    """Rows by the names of the header, or by CoLA's where there is none."""
    lines = [line for line in lines if any(field.strip() for field in line[1])]
    if not lines:
        raise UserError(f"{name} has empty fields alone: name a file with texts and labels")
    layout = glue.LAYOUTS.get(task)
    columns = tuple(lines[0][1])
    if glue.has_no_header(columns) and (layout is None or layout.columns):
        columns = glue.LAYOUTS["cola"].columns
    else:
        columns = tuple(column.strip() for column in columns)
        lines = lines[1:]
        if odd := next(filter(_UNSEEN.search, columns), None):
            raise UserError(
                f"{name}: the column {odd[:60]!a} has characters in its name that nobody sees: "
                "write the header again"
            )
    if not lines:
        raise UserError(f"{name} has a header and no rows: name a file with texts and labels")
    rows, skipped = [], 0
    for number, fields in lines:
        if len(fields) != len(columns):
            # QQP's training part has a few rows that are cut off.
            if layout is not None and len(fields) < len(columns):
                skipped += 1
                continue
            raise UserError(
                f"{name}, line {number} has {len(fields)} fields and the header {len(columns)}: "
                "mend the line; in CSV, put fields that hold a comma into quotation marks"
            )
        if columns == tuple(field.strip(_BLANKS) for field in fields):
            raise UserError(
                f"{name}, line {number} is the header again, as in files that were joined: remove "
                "the line"
            )
        rows.append(Row(f"line {number}", dict(zip(columns, fields, strict=True))))
    return Table(name, content, columns, rows, skipped)


def _objects(text: str, name: str) -> tuple[tuple[str, ...], list[Row]]:
    """The objects of a JSON Lines file, or of a list in a JSON file."""
    places: list[tuple[str, Any]] = []
    if text.lstrip().startswith("["):
        try:
            places = [(f"entry {n}", each) for n, each in enumerate(sealed.parse_text(text), 1)]
        except (ValueError, RecursionError) as error:
            raise UserError(f"{name} is not JSON: {error}") from error
    else:
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                try:
                    places.append((f"line {number}", sealed.parse_text(line)))
                except (ValueError, RecursionError) as error:
                    raise UserError(
                        f"{name}, line {number} is not JSON ({error}): expected an object a line"
                    ) from error
    columns: dict[str, None] = {}
    for place, values in places:
        if not isinstance(values, dict):
            raise UserError(
                f"{name}, {place} is a {type(values).__name__}: expected an object such as "
                '{"text": "...", "label": "..."}'
            )
        columns |= dict.fromkeys(values)
    if not places:
        raise UserError(f"{name} has no rows: name a file with texts and labels")
    return tuple(columns), [Row(place, values) for place, values in places]
