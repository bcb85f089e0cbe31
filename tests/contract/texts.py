# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: RUF001 - characters that look like others are the point
"""Texts on which tokenizers differ."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.tasks.question_answering.squad import Question

HANDWRITTEN = (
    "",
    " ",
    "\n\t \r\n",
    "a",
    ".",
    "\u0301",
    "\u0000",
    "\ufffd",
    "Zoë and naïve René moved from Köln to Malmo\u0308.",
    "e\u0301tude E\u0301TUDE \u0301e\u0301 \u0301 e\u0323\u0307 e\u0307\u0323 \u1e69 s\u0323\u0307",
    "q\u0307\u0323x a\u302e\u0323 a\u302f\u0339\u030b a\u302e\u0323b a\u302f\u302eb "
    "\U0001d15f\U0001d165\u0323 \u1dfa\u0345\u0334",
    "İstanbul ISTANBUL ıI ẞß ΑΣ ΌΣΟΣ ǅ ǆ Ǆ Ꭰ ꭰ Ა ა ﬁ ﬀ Å \u212b K \u212a",
    "東京 has the Skytree, 634 m tall; \U0001f5fc 東a京b",
    "\u3400\u4dbf\u4dc0\u4dff\u4e00\u9fff\ua000 \uf8ff\uf900\ufaff\ufb00",
    "\U0001ffff\U00020000\U0002a6df\U0002a6e0\U0002a700\U0002b73f\U0002b740\U0002b81f",
    "\U0002b820\U0002b91f\U0002b920\U0002ceaf\U0002ceb0\U0002f800\U0002fa1f\U0002fa20\U00030000",
    "한국어 한\u1100\u1161\u11a8 가각힣 \u1112\u1161\u11ab",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \u2764\ufe0f 1\ufe0f\u20e3",
    "soft\u00adhyphen zero\u200bwidth\u200c\u200d\u2060\ufeff joiner",
    "tab\tvertical\x0bfeed\x0cfile\x1cunit\x1fnext\x85line\u2028para\u2029graph",
    "no\u00a0break\u1680ogham\u2003em\u202fnarrow\u205fmath\u3000wide\u180emongolian",
    "\u202eright to left\u202c \u0627\u0644\u0639\u064e\u0631\u0628\u064a\u0629 \u05e9\u05c1\u05dc",
    "private \ue000 \U000f0000 \U0010fffd unassigned \u0378 \U0001f8ff \ufffe \uffff \U0010ffff",
    "[CLS] [SEP] [MASK] [PAD] [UNK] [cls] [ SEP ] [[SEP]] [SEP][SEP] a[SEP]b [SE",
    "##ing ## # ###a un##able [unused1]",
    "$1,234.56 50% a+b=c x<y |z| ~t ^u `v` @w #x &y *z _under_score",
    "don't “quotes” ‘single’ «guillemets» — dash – en… ¿qué? ¡sí! ‽ ⁂ 、。「」 ・",
    "x" * 99,
    "x" * 100,
    "x" * 101,
    "é" * 100,
    "e\u0301" * 100,
    "e\u0301" * 101,
    "\U0001f600" * 100,
    "\U0001f600" * 101,
    "한" * 34,
    "東" * 120,
    "a\u0301" * 60 + " " + "supercalifragilisticexpialidocious" * 3,
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "\u0915\u094d\u0937\u093f \u0e17\u0e35\u0e48 \u0f40\u0fb5 "
    "\u0b95\u0bca \u0dd9\u0dca \u0344 \u0958",
)
ACCENTED = "àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿāăąćĉčďđēęěğģħĩıłńňőœŕřśşšţťũůűŵŷźžơưǎǐǒǔ"
MARKS = (*map(chr, range(0x300, 0x370)), *"\u0483\u05b0\u064b\u093c\u0e38\u302a\u302e\u302f\u3099")
CJK = (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF)
SCRIPTS = (
    (0x370, 0x3FF),  # Greek
    (0x400, 0x52F),  # Cyrillic
    (0x5D0, 0x5EA),  # Hebrew
    (0x620, 0x66F),  # Arabic
    (0x900, 0x97F),  # Devanagari
    (0xE01, 0xE4E),  # Thai
    (0x1100, 0x11FF),  # Korean letters
    (0xAC00, 0xD7A3),  # Korean syllables
    (0x3040, 0x30FF),  # Japanese syllables
    (0x1E00, 0x1FFF),  # Latin and Greek with accents
)
EMOJI = (0x1F300, 0x1F64F), (0x1F680, 0x1F6FF), (0x1F900, 0x1F9FF), (0x2600, 0x27BF)
INVISIBLE = "\x00\x01\x07\x08\x0b\x0c\x1b\x7f\x80\x85\x9f\u00ad\u061c\u180e\u200b\u200c\u200d\u200e"
INVISIBLE += "\u2028\u2029\u202a\u202e\u2060\u2066\ufeff\ufff9\ufffc\ufffd\U000e0001\U000e0061"
SPACES = " \t\n\r\u00a0\u1680\u2000\u2007\u200a\u202f\u205f\u3000"
SIGNS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¡§«¶·»¿‐–—‘’“”†•…‰′‹›⁇、。「」！？｡﹏＿€£¥©®°±×÷"
KINDS = 11  # of random characters
TABLES = Path(__file__).parents[2] / (
    "android_demo/core/src/main/resources/distilbert/mobile/core/characters.txt"
)
SURROGATES = range(0xD800, 0xE000)
LONG = 600
NAMES = "[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]", "[sep]", "##", "[unused7]"


def texts(seed: int, questions: Sequence[Question]) -> list[str]:
    """At least 2,500: sentences, whole and mutated, and texts of nothing in particular."""
    generator = random.Random(seed)
    sentences = [question.text for question in questions]
    for context in dict.fromkeys(question.context for question in questions):
        sentences += [f"{sentence}." for sentence in context.split(". ")]
    found = sentences[:900]
    found += [mutated(generator, generator.choice(sentences)) for _ in range(700)]
    found += [jumbled(generator) for _ in range(1200)]
    return found


def special_texts(seed: int) -> list[str]:
    """Texts by hand, every character that a tokenizer treats in a way of its own, and a jumble."""
    generator = random.Random(seed + 1)
    return [*HANDWRITTEN, *peculiar(), *(jumbled(generator) for _ in range(300))]


def peculiar() -> Iterator[str]:
    """Every character that the app's tables name, but a sample only of long ranges."""
    points: set[int] = set()
    for line in TABLES.read_text(encoding="utf-8").splitlines():
        for first, last in re.findall(r" ([0-9a-f]+)(?:-([0-9a-f]+))?(?=:)", line):
            start, stop = int(first, 16), int(last or first, 16) + 1
            points |= {*range(start, stop, 1 if stop - start < LONG else 499), stop - 1}
    characters = [chr(point) for point in sorted(points - set(SURROGATES))]
    for start in range(0, len(characters), 24):
        yield " ".join(f"a{character}b" for character in characters[start : start + 24])


def mutated(generator: random.Random, sentence: str) -> str:
    """A sentence with a few characters of other kinds put in, changed or taken out."""
    characters = list(sentence)
    for _ in range(generator.randrange(1, 6)):
        place = generator.randrange(len(characters) + 1)
        kept = generator.randrange(2)
        characters[place : place + kept] = [character(generator)]
    return "".join(characters)


def jumbled(generator: random.Random) -> str:
    """Characters of all kinds, in short runs of one kind."""
    found = []
    for _ in range(generator.randrange(1, 12)):
        kind = generator.randrange(KINDS)
        found += [character(generator, kind) for _ in range(generator.randrange(1, 6))]
    return "".join(found)


def character(generator: random.Random, kind: int | None = None) -> str:
    """A random character, or a name of a special piece."""
    choose = generator.choice
    match generator.randrange(KINDS) if kind is None else kind:
        case 0:
            return choose("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
        case 1:
            return choose(ACCENTED + ACCENTED.upper())
        case 2:
            return choose("aeiouxAEO") + "".join(choose(MARKS) for _ in range(choose((1, 1, 2, 4))))
        case 3:
            return chr(generator.randint(*choose(CJK)))
        case 4:
            return chr(generator.randint(*choose(SCRIPTS)))
        case 5:
            return chr(generator.randint(*choose(EMOJI)))
        case 6:
            return choose(INVISIBLE)
        case 7:
            return choose(SPACES)
        case 8:
            return choose(SIGNS)
        case 9:
            return choose((*NAMES, " ", " ", " "))
        case _:
            point = generator.randrange(0x110000 if generator.randrange(2) else 0x3000)
            return "\ue000" if 0xD800 <= point < 0xE000 else chr(point)
