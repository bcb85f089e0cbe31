# SPDX-License-Identifier: Apache-2.0
"""Spans of an English sentence that a cloze question may ask for, each with its question words.

They are found by what stands there and before them: figures, capitals, articles, prepositions.  No
parser is needed, and none is used: a clumsy question still has its answer where it says.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

WHOLE_PHRASE = 0.6  # how often the answer has the article or possessive of its noun

_YEAR = re.compile(r"1[0-9]{3}|20[0-9]{2}")
_FIGURE = re.compile(r"\d[\d,.]*")
_FUNCTION = (
    "a an the and or but of in on at to from by for with as is are was were be been being it its "
    "this that these those which who whom whose what when where how why there their his her they "
    "he she we i you not no nor so than then into over under after before between during while "
    "because if although though until about against through also only both each either neither "
    "such same other others some any many much more most few one two three had has have having do "
    "does did can could may might must shall should will would up down out off"
)
_NUMBERS = (
    "two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty sixty "
    "hundred thousand"
)
FUNCTION_WORDS = frozenset(_FUNCTION.split())
NUMBERS = frozenset(_NUMBERS.split())
DETERMINERS = frozenset({"the", "a", "an", "its", "his", "her", "their"})
LINKS = frozenset({"the", "a", "an", "of"})  # function words that a longer phrase goes on after
PLACING = frozenset({"in", "at", "from", "to", "near"})  # before a name: probably of a place

# What asks for a span of each kind; one that stands twice is twice as likely.
YEARS = ("when", "what year", "in what year", "in which year")
FIGURES = ("how many", "how much", "what", "how long")
COUNTS = ("how many", "how many", "what")
PLACES = ("where", "in what place", "what place")
NAMES = ("who", "what", "which", "whose name")
THINGS = ("what", "what", "which thing", "what kind of thing")
AFTER = {
    "by": ("by whom", "by what", "who", "how"),
    "with": ("with what", "what"),
    "because": ("why",),
    "after": ("when",),
    "before": ("when",),
    "until": ("when", "until when"),
    "in": ("where", "in what", "when"),
    "on": ("where", "on what", "when"),
    "at": ("where", "at what"),
    "from": ("from where", "from what", "where"),
    "to": ("to what", "where"),
    "for": ("for what", "why", "how long"),
}


class Blank(NamedTuple):
    """A span that may be asked for: its first word, the word after it, and what asks for it."""

    first: int
    stop: int
    asked: Sequence[str]


def blanks(words: Sequence[str], rng: random.Random) -> Iterator[Blank]:
    """Every span that may be asked for: numbers, names, noun phrases, and what prepositions name.

    Whether a sentence has any does not depend on chance; how far some reach does.
    """
    for at in range(len(words)):
        for found in (
            _number(words, at, rng),
            _name(words, at),
            _thing(words, at, rng),
            _after(words, at),
        ):
            if found is not None:
                yield found


def is_content(word: str) -> bool:
    """Whether a word says something by itself."""
    return word.lower() not in FUNCTION_WORDS


def _number(words: Sequence[str], at: int, rng: random.Random) -> Blank | None:
    """A year, or a number with or without the word after it, which may be its unit."""
    word = words[at]
    if _YEAR.fullmatch(word):
        return Blank(at, at + 1, YEARS)
    is_figure = _FIGURE.fullmatch(word)
    if not is_figure and word.lower() not in NUMBERS:
        return None
    return Blank(at, min(len(words), at + rng.randint(1, 2)), FIGURES if is_figure else COUNTS)


def _name(words: Sequence[str], at: int) -> Blank | None:
    """Words in capitals that start here, unless they start the sentence."""
    if at == 0 or not words[at][0].isupper() or words[at - 1][0].isupper():
        return None
    stop = at + 1
    while stop < len(words) and words[stop][0].isupper():
        stop += 1
    return Blank(at, stop, PLACES if words[at - 1].lower() in PLACING else NAMES)


def _thing(words: Sequence[str], at: int, rng: random.Random) -> Blank | None:
    """A determiner with up to three words after it, or these words without it."""
    if words[at].lower() not in DETERMINERS:
        return None
    stop = at + 1
    while stop < min(len(words), at + 4) and is_content(words[stop]):
        stop += 1
    if stop == at + 1:
        return None
    return Blank(at if rng.random() < WHOLE_PHRASE else at + 1, stop, THINGS)


def _after(words: Sequence[str], at: int) -> Blank | None:
    """Up to five words after a preposition or conjunction that tells what asks for them."""
    asked = AFTER.get(words[at].lower())
    if asked is None:
        return None
    stop = at + 1
    while stop < min(len(words), at + 6) and (
        is_content(words[stop]) or words[stop].lower() in LINKS
    ):
        stop += 1
    return Blank(at + 1, stop, asked) if stop > at + 1 else None
