# SPDX-License-Identifier: Apache-2.0
"""What a student was made from, kept in its folder: files say it about themselves.

A student that is given back to a later build then becomes the same files as in the first.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from converters import one_line, plain_file
from pipeline.artifacts import write_json

ORIGIN = "origin.json"


@dataclass(frozen=True)
class Origin:
    """What a student was made from.

    Attributes:
        made_from: a sentence, such as "A student of bert-base-uncased, trained on squad.json."
        license: of what it was made from; empty where it is not known.
    """

    made_from: str
    license: str = ""


def write(folder: Path, origin: Origin) -> None:
    """Writes it into a student's folder."""
    write_json(folder / ORIGIN, asdict(origin))


def read(folder: Path) -> Origin | None:
    """What a student's folder says; None where it says nothing that can be read."""
    try:
        document = json.loads(plain_file.read_text(folder / ORIGIN))
        return Origin(_text(document["made_from"]), _text(document["license"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _text(value: Any) -> str:
    """A text that a card and the metadata of files can hold; else a TypeError or a ValueError."""
    if not isinstance(value, str):
        raise TypeError(f"a {type(value).__name__}")
    value.encode("utf-8")  # half a surrogate pair is no character
    return one_line(value)
