# SPDX-License-Identifier: Apache-2.0
"""What an app has to know of a tokenizer: `vocab.txt`, and the member `tokenizer` of `model.json`.

A tokenizer of BERT finds its added tokens first, whole, wherever a text has them; WordPiece cuts
only what lies between them. Some are looked for in the text as it is (`normalized` false), the
others in the normalized text, where their own content is normalized as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from converters import one_line
from pipeline.errors import UserError

# What a model.json can hold: of a token's text and of WordPiece's settings, in characters.
LONGEST_PIECE = 1000
MOST = {"continuing_subword_prefix": 100, "max_input_chars_per_word": 2**20}

# How the five special pieces are found, unless a tokenizer says otherwise.
_USUAL = {
    **{"special": True, "lstrip": False, "rstrip": False},
    **{"single_word": False, "normalized": False},
}


def vocabulary_lines(tokenizer: Any) -> list[str]:
    r"""The lines of `vocab.txt`: one for each id, in the order of the ids.

    A line feed in a piece is written as `\n`. WordPiece looks no such piece up, because it cuts at
    white space.

    Raises:
        UserError: if the ids have gaps.
    """
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    if [place for _, place in vocabulary] != list(range(len(vocabulary))):
        raise UserError(
            f"the tokenizer's {len(vocabulary)} ids are not 0 to {len(vocabulary) - 1}: vocab.txt "
            "has no place for gaps; fill them with unused pieces"
        )
    return [_line(piece) for piece, _ in vocabulary]


def describe_tokenizer(tokenizer: Any) -> dict[str, Any]:
    """Everything that decides how a text becomes ids.

    `added` lists the added tokens in the order of their ids. The five special pieces are in it only
    if they differ from BERT's: special, found as they are written, anywhere, without the blanks
    beside them. `word_piece` says whether WordPiece knows the token as well. With `split_special`,
    texts hold no special tokens: WordPiece cuts their names.

    Raises:
        UserError: if the tokenizer is not BERT's own, or if its ids or its added tokens are not
            unique: an app could not follow it.
    """
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    normalizer, model = backend["normalizer"] or {}, backend["model"]
    kinds = (normalizer.get("type"), (backend["pre_tokenizer"] or {}).get("type"), model["type"])
    if kinds != ("BertNormalizer", "BertPreTokenizer", "WordPiece"):
        raise UserError(
            f"the tokenizer is made of {', '.join(map(str, kinds))}: an app needs BERT's own; take "
            "a teacher that has it"
        )
    vocabulary_lines(tokenizer)
    special: dict[str, Any] = {
        "pad": tokenizer.pad_token,
        "unknown": tokenizer.unk_token,
        "cls": tokenizer.cls_token,
        "sep": tokenizer.sep_token,
        "mask": tokenizer.mask_token,
    }
    if lacking := [name for name, piece in special.items() if piece is None]:
        raise UserError(
            f"the tokenizer names no piece for {', '.join(lacking)}: save it again with all of "
            "BERT's special tokens"
        )
    known = tokenizer.get_vocab()
    if unknown := [str(piece) for piece in special.values() if str(piece) not in known]:
        raise UserError(
            f"the tokenizer has no id for {one_line(', '.join(map(repr, unknown)), 80)}, which it "
            "names as special tokens: add them to its vocabulary"
        )
    if model.get("unk_token") != special["unknown"]:
        raise UserError(
            f"the tokenizer takes {one_line(repr(model.get('unk_token')), 60)} for unknown words, "
            f"and names {one_line(repr(special['unknown']), 60)}: save it again with one of them"
        )
    _check_distinct(tokenizer, backend["added_tokens"])
    texts = [str(piece) for piece in special.values()]
    texts += [token["content"] for token in backend["added_tokens"]]
    if odd := next((text for text in texts if not 1 <= len(text) <= LONGEST_PIECE), None):
        raise UserError(
            f"the tokenizer has the token {odd[:60]!r} of {len(odd):,} characters: expected 1 to "
            f"{LONGEST_PIECE:,}"
        )
    for name, most in MOST.items():
        value = model.get(name, 1)
        size = len(value) if isinstance(value, str) else value
        if (not isinstance(value, str) and size < 1) or size > most:
            raise UserError(
                f"the tokenizer has {name} {one_line(repr(value), 60)}: at most {most:,}, and a "
                "number at least 1"
            )
    lower = bool(normalizer.get("lowercase", True))
    strip = normalizer.get("strip_accents")
    return {
        "type": "wordpiece",
        "size": len(tokenizer),
        "lower_case": lower,
        "strip_accents": lower if strip is None else bool(strip),
        "split_cjk": bool(normalizer.get("handle_chinese_chars", True)),
        "clean_text": bool(normalizer.get("clean_text", True)),
        "continuation": model.get("continuing_subword_prefix", "##"),
        "max_word_characters": model.get("max_input_chars_per_word", 100),
        "split_special": bool(tokenizer.backend_tokenizer.encode_special_tokens),
        "special": {
            name: {"piece": str(piece), "id": tokenizer.convert_tokens_to_ids(piece)}
            for name, piece in special.items()
        },
        "added": _added(backend["added_tokens"], model["vocab"], set(special.values())),
    }


def lines_of(data: bytes) -> list[str]:
    """The pieces in the bytes of a `vocab.txt`, in the order of their ids.

    Raises:
        UnicodeDecodeError: they are not UTF-8.
    """
    return data.decode("utf-8").removesuffix("\n").split("\n")


def tokenizer_of(
    vocabulary: Path, description: Mapping[str, Any], lines: Sequence[str] | None = None
) -> Any:
    """The fast BERT tokenizer of `vocab.txt` and `describe_tokenizer`, as an app builds it.

    Args:
        vocabulary: the path of `vocab.txt`.
        description: what `describe_tokenizer` returned.
        lines: those of the file, if they were read already.

    Raises:
        KeyError: the description lacks something.
        UserError: the added tokens do not get their ids.
    """
    from tokenizers import AddedToken, normalizers
    from transformers import BertTokenizerFast

    added = {
        entry["content"]: AddedToken(entry["content"], **{flag: entry[flag] for flag in _USUAL})
        for entry in description["added"]
    }
    beyond = {entry["id"] for entry in description["added"] if not entry["word_piece"]}
    lines = lines_of(vocabulary.read_bytes()) if lines is None else lines
    names = {"unknown": "unk"}
    tokenizer = BertTokenizerFast(
        vocab={line: place for place, line in enumerate(lines) if place not in beyond},
        split_special_tokens=description["split_special"],
        **{
            f"{names.get(name, name)}_token": added.get(entry["piece"], entry["piece"])
            for name, entry in description["special"].items()
        },
    )
    tokenizer.backend_tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=description["clean_text"],
        handle_chinese_chars=description["split_cjk"],
        strip_accents=description["strip_accents"],
        lowercase=description["lower_case"],
    )
    longest = description["max_word_characters"]
    tokenizer.backend_tokenizer.model.max_input_chars_per_word = longest
    tokenizer.backend_tokenizer.encode_special_tokens = description["split_special"]
    tokenizer.add_tokens(list(added.values()))  # last: their content is normalized here
    for entry in description["added"]:
        if (place := tokenizer.convert_tokens_to_ids(entry["content"])) != entry["id"]:
            raise UserError(
                f"the added token {entry['content']!r} gets the id {place} from {vocabulary}, and "
                f"model.json says {entry['id']}: build the file again"
            )
    return tokenizer


def _line(piece: str) -> str:
    return piece.replace("\n", "\\n")


def _added(
    tokens: Sequence[Mapping[str, Any]], pieces: Mapping[str, int], special: set[str]
) -> list[dict[str, Any]]:
    """The entries of `added`, for the tokens as `tokenizer.json` has them."""
    found = []
    for token in sorted(tokens, key=lambda token: int(token["id"])):
        content, flags = token["content"], {flag: bool(token[flag]) for flag in _USUAL}
        known = content in pieces
        if not (content in special and known and flags == _USUAL):
            found.append({"content": content, "id": token["id"], **flags, "word_piece": known})
    return found


def _check_distinct(tokenizer: Any, tokens: Sequence[Mapping[str, Any]]) -> None:
    """Refuses added tokens of which nobody can say which one a text has."""
    normalize = tokenizer.backend_tokenizer.normalizer.normalize_str
    contents: dict[str, str] = {}
    for token in tokens:
        if not token["normalized"]:
            continue
        content = token["content"]
        if not (normal := normalize(content)):
            raise UserError(
                f"nothing is left of the tokenizer's added token {content!r} once it is "
                "normalized: add it with normalized=False"
            )
        if (other := contents.setdefault(normal, content)) != content:
            raise UserError(
                f"the tokenizer's added tokens {other!r} and {content!r} are the same once they "
                "are normalized: keep one of them, or add them with normalized=False"
            )
