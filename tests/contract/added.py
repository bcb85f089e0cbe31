# SPDX-License-Identifier: Apache-2.0
"""Tokenizers with added tokens of every kind, and texts that are full of such tokens."""

from __future__ import annotations

import itertools
import random
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tokenizers import AddedToken

from pipeline.files.tokenizer import vocabulary_lines

from .texts import INVISIBLE, SPACES, character

TEXTS = 700
FLAGS = ("special", "lstrip", "rstrip", "single_word", "normalized")
# Each is another token, also in lower case and without its accents. Some begin as others do, or
# hold others; some are WordPiece's; some hold what no line of a vocabulary and no word can.
CONTENTS = (
    *("[ENT]", "[ENT2]", "[ent", "New", "New York", "New York City", "York", "york-shire"),
    *(
        "e-mail",
        "mail",
        "C++",
        "c",
        "Köln",
        "naïve",
        "Å",
        "\u0958",
        "한국어",
        "東京",
        "東",
        "\U0001f5fc",
    ),
    *("<x>", "<x><y>", "_", "__init__", "1", "2.0", "the", "[unused1]", "##s", "##ing"),
    *("\n", "\n\n", " and ", "of the", "a\u0301\u0323b", "\u200d", "soft\u00adhyphen", "tab\tbed"),
)
# Beside a token: word characters and others, of several scripts, and what normalizing removes.
BESIDE = (
    *"aZé_9-.,'\u0301\u200d\u203f",
    "\u0e01",
    "中",
    "\U0001d7d8",
    "\u0660",
    "\u0c3e",
    "²",
    "ǅ",
)


def added_document(words: Sequence[str], make: Callable[..., Any], seed: int) -> dict[str, Any]:
    """Texts, the lines of each tokenizer's `vocab.txt`, and its tokenizers for `make_golden.run`.

    Args:
        words: an uncased vocabulary; its first 104 pieces hold the special ones.
        make: gives a tokenizer of a vocabulary and the options of a normalizer.
        seed: of everything that is drawn.

    Returns:
        `texts`, `vocabularies` by name, and `tokenizers` by the same names.
    """
    generator = random.Random(seed)
    short = [word for word in words if len(word.removeprefix("##")) == 1]
    known = list(dict.fromkeys([*words[:104], *short, *words[1996:2060], "##s", "##ing"]))
    uncased, cased = {"lowercase": True}, {"lowercase": False, "strip_accents": False}
    tokenizers = {
        "uncased": _add(make(known, uncased), generator),
        "uncased, other flags": _add(make(known, uncased), generator),
        "cased": _add(make(known, cased), generator),
        "accents kept": _add(make(known, uncased | {"strip_accents": False}), generator),
        "not cleaned": _add(make(known, uncased | {"clean_text": False}), generator),
        "ideographs not split": _add(
            make(known, uncased | {"handle_chinese_chars": False}), generator
        ),
        "special pieces of other kinds": _add(
            make([piece for piece in known if piece != "[MASK]"], uncased),
            generator,
            AddedToken("[MASK]", special=True, normalized=False, lstrip=True),
            AddedToken("[SEP]", special=True, normalized=True),
        ),
    }
    split = _add(make(known, uncased), generator)
    split.backend_tokenizer.encode_special_tokens = True
    tokenizers["special tokens split"] = split
    texts = list(dict.fromkeys(_text(generator) for _ in range(TEXTS)))
    return {
        "texts": texts,
        "vocabularies": {name: vocabulary_lines(each) for name, each in tokenizers.items()},
        "tokenizers": tokenizers,
    }


def _add(tokenizer: Any, generator: random.Random, *more: AddedToken) -> Any:
    """Adds every content to a tokenizer, so that every combination of flags occurs."""
    combinations = list(itertools.product((False, True), repeat=len(FLAGS)))
    generator.shuffle(combinations)
    tokens = [
        AddedToken(content, **dict(zip(FLAGS, flags, strict=True)))
        for content, flags in zip(CONTENTS, itertools.cycle(combinations), strict=False)
        if not (content == "\u200d" and flags[-1])  # nothing would be left of it
    ]
    # In the search of one kind, a token that takes blanks could take those of such a token's own.
    tokens = [
        AddedToken(token.content, normalized=token.normalized, single_word=token.single_word)
        if token.content.strip() != token.content
        else token
        for token in tokens
    ]
    tokenizer.add_tokens([*more, *tokens])
    return tokenizer


def _text(generator: random.Random) -> str:
    """Tokens as they are and changed, beside blanks, each other and other characters."""
    return "".join(itertools.chain(*(_part(generator) for _ in range(generator.randrange(1, 9)))))


def _part(generator: random.Random) -> Iterator[str]:
    choose = generator.choice
    blanks = ("", "", " ", "  ", "\t \n", choose(SPACES), choose(BESIDE), choose(INVISIBLE))
    yield choose(blanks)
    match generator.randrange(8):
        case 0:
            yield choose(("the old house was built in ", "of", "Ab ", "[SEP]", "[MASK]", "[mask]"))
        case 1:
            yield character(generator)
        case 2:
            yield choose(CONTENTS)[:-1]
        case 3:
            yield choose((str.upper, str.lower, str.title))(choose(CONTENTS))
        case 4:
            yield unicodedata.normalize("NFD", choose(CONTENTS))
        case _:
            yield choose(CONTENTS)
    yield choose(blanks)
