# SPDX-License-Identifier: Apache-2.0
"""What a vocabulary says of itself: pieces that stand twice, and whether it is cased."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from converters import one_line
from converters.pretrained import NAMED
from pipeline.models.judge import MALFORMED

# The share of pieces with capital letters from which on a vocabulary is cased: cased ones have a
# fifth or more, and a few odd pieces make no uncased one cased.
CASED_SHARE = 0.005


def problems(folder: Path) -> Iterator[str]:
    """What is wrong with the vocab.txt of a folder that has no other vocabulary, a line each."""
    if (folder / "tokenizer.json").is_file():
        return
    try:
        pieces = pieces_of(folder)
    except (OSError, ValueError) as error:
        yield f"vocab.txt cannot be read ({one_line(error)}): save it again"
        return
    seen: dict[str, int] = {}
    twice = 0
    for line, piece in enumerate(pieces, 1):
        twice += piece in seen
        if piece in seen and twice <= NAMED:
            yield (
                f"vocab.txt has the piece {piece!r} twice, in lines {seen[piece]} and {line}, but "
                f"a piece has one id: rename one of them, such as to [unused{line}]"
            )
        seen.setdefault(piece, line)


def pieces_of(folder: Path) -> list[str]:
    """The pieces of vocab.txt in the order of their ids."""
    lines = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    return [line.rstrip("\r") for line in (lines[:-1] if not lines[-1] else lines)]


def notes(folder: Path) -> Iterator[str]:
    """What was assumed of a tokenizer, a line each."""
    cased = cased_by_pieces(folder)
    if cased is not None:
        yield (
            f"vocab.txt came without tokenizer_config.json, and is read as "
            f"{'cased' if cased else 'uncased'}, since its pieces have "
            f"{'' if cased else 'no '}capital letters; if that is wrong, write "
            f'{{"do_lower_case": {"true" if cased else "false"}}} to tokenizer_config.json'
        )


def cased_by_pieces(folder: Path) -> bool | None:
    """Whether the pieces of a vocab.txt are cased, where no other file says so; None elsewhere.

    transformers would make every text lower case.  A tokenizer that does so never finds a piece
    with a capital letter, so that such pieces are a cased vocabulary's; names in brackets, such as
    [CLS], are none.
    """
    if (folder / "tokenizer.json").is_file() or not (folder / "vocab.txt").is_file():
        return None
    try:
        said = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        if "do_lower_case" in said:
            return None
    except (OSError, *MALFORMED):
        pass
    try:
        pieces = [piece for piece in pieces_of(folder) if not re.fullmatch(r"[\[<].*[\]>]", piece)]
    except (OSError, ValueError):
        return None
    return sum(piece != piece.lower() for piece in pieces) > CASED_SHARE * len(pieces)
