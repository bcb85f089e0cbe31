# SPDX-License-Identifier: Apache-2.0
"""JSON documents that carry a digest of themselves: model.json and golden.json.

The member `digest` is the SHA-256, in hexadecimal, of the document without that member, in the
canonical form of RFC 8785: keys sorted by their UTF-16 code units, no white space between tokens,
numbers as ECMAScript prints them, UTF-8. The layout of a file is free: whoever indents it again
changes no digest. A digest notices accidents; it is no signature, for anybody can compute it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from converters import ConversionError, one_line, plain_file, whole_file

KEY: Final = "digest"

# Golden cases of the largest models take about 2 MB; a file that is larger is not ours.
LARGEST_BYTES: Final = 64 * 2**20

# The integers that every reader of JSON holds exactly.
LARGEST_INTEGER: Final = 2**53 - 1

# Bytes of a file's name that every file system takes.
LONGEST_NAME: Final = 255

# Up to here and from there ECMAScript prints a number without an exponent.
_PLAIN_BELOW, _PLAIN_FROM = 1e21, 1e-6

AGAIN: Final = "copy the whole folder again, or build it again"


def canonical(document: Any) -> str:
    """A document in the form of RFC 8785.

    Raises:
        ValueError: it holds what this form has no place for: half a surrogate pair, a number that
            is not finite or too large, or a value that is not JSON's.
    """
    try:
        return "".join(_written(document))
    except RecursionError as error:
        raise ValueError("lists or objects within one another too deeply") from error


def _written(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        mark = "{"
        for key in sorted(value, key=lambda key: key.encode("utf-16-be")):
            yield f"{mark}{_text(key)}:"
            yield from _written(value[key])
            mark = ","
        yield "}" if value else "{}"
    elif isinstance(value, (list, tuple)):
        mark = "["
        for each in value:
            yield mark
            yield from _written(each)
            mark = ","
        yield "]" if value else "[]"
    elif isinstance(value, str):
        yield _text(value)
    elif isinstance(value, bool) or value is None:
        yield json.dumps(value)
    elif isinstance(value, (int, float)):
        yield _number(value)
    else:
        raise ValueError(f"a value of the type {type(value).__name__}")


def _text(text: str) -> str:
    text.encode("utf-8")  # half a surrogate pair is an error, which is a ValueError
    return json.dumps(text, ensure_ascii=False)


def _number(value: int | float) -> str:
    """A number as ECMAScript prints it."""
    if isinstance(value, int):
        if abs(value) > LARGEST_INTEGER:
            raise ValueError(f"the integer {str(value)[:20]}... is too large")
        return str(value)
    if value != value or abs(value) == float("inf"):
        raise ValueError(f"the number {value}")
    if value == 0:
        return "0"
    digits = Decimal(float.__repr__(value))  # of numpy's floats as well
    if _PLAIN_FROM <= abs(value) < _PLAIN_BELOW:
        plain = format(digits, "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    mantissa, _, exponent = format(digits.normalize(), "e").partition("e")
    return f"{mantissa}e{int(exponent):+d}"


def digest(document: Mapping[str, Any]) -> str:
    """The SHA-256 of a document without its own digest, in hexadecimal.

    Raises:
        ValueError: see `canonical`.
    """
    rest = {key: value for key, value in document.items() if key != KEY}
    return hashlib.sha256(canonical(rest).encode("utf-8")).hexdigest()


def seal(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document with its digest as the last member; one that it had is replaced."""
    rest = {key: value for key, value in document.items() if key != KEY}
    return {**rest, KEY: digest(rest)}


def write(path: Path, document: Mapping[str, Any], *, compact: bool = False) -> Path:
    """Seal a document and write it whole or not at all.

    Args:
        path: of the file.
        document: what it holds; a digest in it is replaced.
        compact: leave out line breaks and blanks, for a file that a phone reads at every start.

    Returns:
        The path.

    Raises:
        OSError: the file system refuses.
        ValueError: see `canonical`.
    """
    layout: dict[str, Any] = {"separators": (",", ":")} if compact else {"indent": 2}
    return whole_file.write(path, json.dumps(seal(document), ensure_ascii=False, **layout) + "\n")


def parse(path: Path) -> Any:
    """The content of a JSON file, read strictly: UTF-8, no key twice, no NaN, not too large.

    Raises:
        ConversionError: there is no such file, or it is not readable; one line that says why.
    """
    try:
        return read_json(path)
    except OSError as error:
        raise ConversionError(
            f"no readable {path} ({error.strerror}): it belongs beside the exported file"
        ) from error
    except RecursionError as error:
        raise ConversionError(f"no readable {path} (too many brackets): {AGAIN}") from error
    except ValueError as error:
        raise ConversionError(f"no readable {path} ({one_line(error, 80)}): {AGAIN}") from error


def read_json(path: Path) -> Any:
    """The content of a JSON file, read as strictly as `parse` reads it, whoever wrote it.

    Raises:
        OSError: it cannot be read; see `plain_file.read_bytes`.
        ValueError: it is too large, no UTF-8 or no JSON, or may mean two things.
        RecursionError: it has too many brackets within one another.
    """
    data = plain_file.read_bytes(path, LARGEST_BYTES + 1)
    if len(data) > LARGEST_BYTES:
        raise ValueError(f"more than {LARGEST_BYTES:,} bytes")
    return parse_text(data.decode("utf-8"), parse_float=_finite)


def parse_text(text: str, **how: Any) -> Any:
    """What a text of JSON holds: no key twice, no NaN; else a ValueError, or a RecursionError."""
    return json.loads(text, object_pairs_hook=members, parse_constant=no_constant, **how)


def _finite(text: str) -> float:
    """A number of JSON; Python takes one that is too large for infinity."""
    if (value := float(text)) in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:20]} is too large")
    return value


def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The members of an object of JSON; a ValueError if a key stands twice."""
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise ValueError(f"the key {next(key for key in counts if counts[key] > 1)!r} twice")
    return members


def no_constant(name: str) -> float:
    """Refuses NaN and the infinities, which Python takes for JSON, by a ValueError."""
    raise ValueError(f"{name} is no number of JSON")


def check(path: Path, document: Any) -> None:
    """Refuse a document that is not the one whose digest it carries.

    Args:
        path: where it was read, for the message.
        document: what `parse` returned.

    Raises:
        ConversionError: it was changed, or carries no digest.
    """
    stated = document.get(KEY) if isinstance(document, dict) else None
    if not isinstance(stated, str):
        raise ConversionError(f"{path} states no digest of itself: {AGAIN}")
    try:
        found = digest(document)
    except ValueError as error:
        raise ConversionError(
            f"{path} cannot be sealed ({one_line(error, 80)}): {AGAIN}"
        ) from error
    if found != stated:
        raise ConversionError(
            f"{path} is damaged or was changed: its digest is {found[:12]}..., and it states "
            f"{one_line(stated)[:12]}...; {AGAIN}, or pass --no-verify if you changed it on purpose"
        )


def is_plain(name: str) -> bool:
    """Whether a text is the name of a file beside another, in any system: no path, no drive."""
    return (
        0 < len(name.encode("utf-8", "replace")) <= LONGEST_NAME
        and name.isprintable()
        and not name.startswith((".", "-", " "))
        and not name.endswith((".", " "))
        and not set('/\\:*?"<>|') & set(name)
    )
