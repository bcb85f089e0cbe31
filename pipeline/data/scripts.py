# SPDX-License-Identifier: Apache-2.0
"""The word pieces that a language can use, by the scripts of their letters.

Python has no table of scripts.  The Unicode name of a letter begins with that of its script, as in
CYRILLIC SMALL LETTER ZHE (Unicode Standard, section 4.8), and the name of a character never
changes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from pipeline.errors import UserError

LANGUAGE = "language:"  # begins the name of a language among the texts of a vocabulary

# How the Unicode names of letters begin -> the languages that are written with such letters today,
# by their ISO 639 codes.  Han characters are called CJK, and their iteration mark IDEOGRAPHIC.
_HAN = ("CJK", "IDEOGRAPHIC")
_WRITTEN_WITH: Mapping[tuple[str, ...], str] = MappingProxyType(
    {
        ("LATIN",): "af ast az bar br bs ca ceb cs cy da de en eo es et eu fi fr fy ga gl ha hr ht "
        "hu id ig is it jv la lb lt lv mg ms mt nb nds nl nn no oc pl pt rm ro sc sco sk sl so sq "
        "su sv sw tl tr uz vi vo wa war xh yo zu",
        ("CYRILLIC",): "ba be bg ce cv kk ky mk mn os ru tg tt uk",
        ("CYRILLIC", "LATIN"): "sr sh",
        ("ARABIC",): "ar arz azb ckb fa pnb ps sd ug ur",
        ("ARMENIAN",): "hy",
        ("BENGALI",): "as bn bpy",
        ("DEVANAGARI",): "hi mr ne new sa",
        ("ETHIOPIC",): "am ti",
        ("GEORGIAN",): "ka",
        ("GREEK",): "el",
        ("GUJARATI",): "gu",
        ("GURMUKHI",): "pa",
        ("HEBREW",): "he yi",
        ("KANNADA",): "kn",
        ("KHMER",): "km",
        ("LAO",): "lo",
        ("MALAYALAM",): "ml",
        ("MYANMAR",): "my",
        ("ORIYA",): "or",
        ("SINHALA",): "si",
        ("TAMIL",): "ta",
        ("TELUGU",): "te",
        ("THAI",): "th",
        ("TIBETAN",): "bo dz",
        _HAN: "zh yue wuu",
        (*_HAN, "HIRAGANA", "KATAKANA"): "ja",
        (*_HAN, "HANGUL"): "ko",
    }
)
SCRIPTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {code: words for words, codes in _WRITTEN_WITH.items() for code in codes.split()}
)
# Words before the name of the script.
_WIDTHS = ("FULLWIDTH", "HALFWIDTH")


def is_language(name: str) -> bool:
    """Whether a text of a vocabulary names a language, as `language:de` does."""
    return name.startswith(LANGUAGE)


def scripts_of(names: Iterable[str]) -> frozenset[str]:
    """How the Unicode names of the letters of some languages begin.

    Args:
        names: such as `language:de`; others are passed over.

    Raises:
        UserError: a language that is not in the table.
    """
    scripts: set[str] = set()
    for name in filter(is_language, names):
        code = name.removeprefix(LANGUAGE)
        if code not in SCRIPTS:
            raise UserError(
                f"--vocabulary-text {name}: no such language; name one by its code, such as "
                f"{LANGUAGE}de, of {' '.join(sorted(SCRIPTS))}, or name a text file"
            )
        scripts.update(SCRIPTS[code])
    return frozenset(scripts)


def pieces_of(
    vocabulary: Mapping[str, int], scripts: frozenset[str], prefix: str = "##"
) -> Iterator[int]:
    """The ids of the word pieces all of whose letters belong to some scripts.

    Digits, punctuation, symbols and marks that join with any letter belong to every script; names
    in brackets, such as [unused7], are no text.

    Args:
        vocabulary: word piece -> id.
        scripts: from `scripts_of`; none for no pieces.
        prefix: of a piece that continues a word.
    """
    if not scripts:
        return
    for piece, place in vocabulary.items():
        letters = piece.removeprefix(prefix)
        in_brackets = letters.startswith("[") and letters.endswith("]") and len(letters) > 2
        if not in_brackets and all(_belongs(letter, scripts) for letter in letters):
            yield place


def _belongs(character: str, scripts: frozenset[str]) -> bool:
    """Whether a character is none that another script than these has for itself."""
    if unicodedata.category(character)[0] not in "LM":
        return True
    words = unicodedata.name(character, "").replace("-", " ").split()
    if words and words[0] in _WIDTHS:
        words = words[1:]
    # KATAKANA-HIRAGANA PROLONGED SOUND MARK belongs to both scripts.
    return not words or words[0] in ("COMBINING", "MODIFIER") or not scripts.isdisjoint(words[:2])
