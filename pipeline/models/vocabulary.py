# SPDX-License-Identifier: Apache-2.0
"""What a vocabulary says of itself: pieces that stand twice, and whether it is cased."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from converters import one_line, plain_file, sealed
from converters.pretrained import LARGEST_BYTES, NAMED
from converters.quiet import quiet
from pipeline.models.judge import MALFORMED

# Files of other kinds of tokenizers, which transformers takes first where no tokenizer.json is.
OTHERS = re.compile(r"tekken\.json|tokenizer\.model|tiktoken\.model")

# Rows of a table beyond the vocabulary that mean nothing: most have a few, to be a multiple of 64.
FEW_SPARE = 1024

# Settings of a tokenizer_config.json that name other files, or stand for them.
ELSEWHERE = ("fast_tokenizer_files", "vocab", "gguf_file", "tokenizer_object")

# What decides, in the parts of a tokenizer.json, how a text becomes pieces: what it is made of,
# and the settings that tokenizer_config.json has as well.
KIND = {
    "normalizer": ("type",),
    "pre_tokenizer": ("type",),
    "model": ("type", "continuing_subword_prefix", "max_input_chars_per_word"),
}
FORM = {
    "normalizer": ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase"),
    "model": ("unk_token",),
}

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
    data = plain_file.read_bytes(folder / "vocab.txt", LARGEST_BYTES + 1)
    if len(data) > LARGEST_BYTES:
        raise ValueError(f"no vocabulary has more than {LARGEST_BYTES:,} bytes")
    # As Python reads a text: every kind of line break is one.
    lines = data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if not lines[-1] else lines


def other_tokenizer(folder: Path) -> str | None:
    """A file in a folder that transformers would read in place of the usual ones; None without any.

    The second half of the text says what to do.
    """
    try:
        said = sealed.read_json(folder / "tokenizer_config.json")
    except (OSError, *MALFORMED):
        said = {}  # whoever opens the tokenizer says what is wrong
    said = said if isinstance(said, dict) else {}
    if key := next((key for key in ELSEWHERE if said.get(key) is not None), None):
        return (
            f"{one_line(repr(said[key]), 60)}, as tokenizer_config.json says: remove its key {key}"
        )
    if (folder / "tokenizer.json").is_file() or not folder.is_dir():
        return None
    odd = next((each.name for each in sorted(folder.iterdir()) if OTHERS.search(each.name)), None)
    return odd and f"{odd!r}, which is not BERT's: move that file away"


def opened(folder: Path) -> Any:
    """The fast tokenizer of a folder, which neither cuts nor pads; or what kept it from opening.

    What libraries print is dropped: a panic of tokenizers is pages long.
    """
    from transformers import AutoTokenizer

    cased = cased_by_pieces(folder)
    told = {} if cased is None else {"do_lower_case": not cased}
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, **told
            )
            tokenizer.backend_tokenizer.no_truncation()
            tokenizer.backend_tokenizer.no_padding()
        except BaseException as error:  # tokenizers raises plain Exception, and panics for damage
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            return error
    return tokenizer


def lacking(pieces: int, rows: int) -> str | None:
    """What is wrong with a vocabulary that has lost its end; None if it may be whole.

    Args:
        pieces: how many the tokenizer has.
        rows: of the model's table; a few more are usual.
    """
    if 2 * pieces < rows or rows - pieces > max(FEW_SPARE, rows // 10):
        return (
            f"its tokenizer has {pieces} pieces and its table of embeddings {rows} rows, far more: "
            "the vocabulary is cut off; fetch it again"
        )
    return None


def not_followed(folder: Path, tokenizer: Any, parts: Mapping[str, Sequence[str]]) -> str | None:
    """What tokenizer.json says and the tokenizer that was made of it does not do; None if nothing.

    transformers makes a BERT tokenizer anew from the pieces and tokenizer_config.json, and leaves
    out whatever else tokenizer.json says.

    Args:
        folder: of the tokenizer.
        tokenizer: what was made of it.
        parts: the settings that are compared, by the part of tokenizer.json: `KIND` or `FORM`.
    """
    try:
        said = sealed.read_json(folder / "tokenizer.json")
    except (OSError, *MALFORMED):
        return None  # there is none, or whoever opens it says what is wrong
    for part, keys in parts.items():
        stated = said.get(part) if isinstance(said, dict) else None
        made = _part(tokenizer.backend_tokenizer, part)
        if not isinstance(stated, dict) or made is None:
            if stated != made:
                return f"{part} {one_line(repr(stated), 60)}"
            continue
        for key in keys:
            if key in stated and stated[key] != made.get(key):
                return f"{part}.{key} {one_line(json.dumps(stated[key]), 60)}"
    return None


def _part(backend: Any, name: str) -> dict[str, Any] | None:
    """A part of a tokenizer as a tokenizer.json has it, without the pieces; None without one."""
    part = getattr(backend, name)
    if name == "model":  # whose state holds all pieces
        keys = ("unk_token", "continuing_subword_prefix", "max_input_chars_per_word")
        return {"type": type(part).__name__, **{key: getattr(part, key, None) for key in keys}}
    return None if part is None else dict(json.loads(part.__getstate__()))


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
