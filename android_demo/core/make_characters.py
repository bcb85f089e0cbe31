# SPDX-License-Identifier: Apache-2.0
"""Writes characters.txt: what the app's tokenizer knows of each character.

The tables are asked of the tokenizer that training uses, character by character: it mixes several
Unicode versions, and an Android release brings yet another one.

python android_demo/core/make_characters.py
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

TABLES = Path(__file__).parent / "src/main/resources/distilbert/mobile/core/characters.txt"
REMOVED, SPACE, PUNCTUATION, IDEOGRAPH, MARK = 1, 2, 4, 8, 16
SURROGATES = range(0xD800, 0xE000)
SYLLABLES = range(0xAC00, 0xD7A4)  # Korean; they decompose by arithmetic
CHUNK = 4096
NEUTRAL = "0"  # a character that nothing changes and that changes nothing beside it

HEADER = """\
# SPDX-License-Identifier: Apache-2.0
# Written by make_characters.py from the tokenizers library, which has it from the Unicode Character
# Database. Hexadecimal.
# kinds: 1 removed by cleaning, 2 white space, 4 punctuation, 8 Chinese, 16 nonspacing mark
# words: part of a word, so that an added token beside it is no single word
# combining: canonical combining class; lower: lower case; decomposed: full canonical decomposition
"""


def tables() -> str:
    """The whole file."""
    points = [point for point in range(0x110000) if point not in SURROGATES]
    decomposed = changed(points, normalizers.NFD().normalize_str)
    check_syllables(decomposed)
    parts = {point: text for point, text in decomposed.items() if point not in SYLLABLES}
    rows = {
        "kinds": ranges(kinds(points, decomposed)),
        "words": ranges(dict.fromkeys(word_characters(points), 1)).replace(":1", ""),
        "combining": ranges(combining_classes([p for p in points if p not in decomposed])),
        "lower": mappings(changed(points, bert(lowercase=True))),
        "decomposed": mappings(parts),
    }
    return HEADER + "".join(f"{name} {row}\n" for name, row in rows.items())


def bert(**steps: bool) -> Callable[[str], str]:
    """BERT's normalizer with only some of its steps."""
    none = dict.fromkeys(
        ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase"), False
    )
    return normalizers.BertNormalizer(**(none | steps)).normalize_str  # type: ignore[no-any-return]


def changed(points: Iterable[int], normalize: Callable[[str], str]) -> dict[int, str]:
    """What becomes of each character that a normalizer changes."""
    found = {}
    for chunk in chunks(points):
        results = normalize(NEUTRAL.join(map(chr, chunk))).split(NEUTRAL)
        for point, result in zip(chunk, results, strict=True):
            if result != chr(point):
                found[point] = result
    return found


def chunks(points: Iterable[int]) -> Iterable[list[int]]:
    """The characters without the neutral one, a few thousand at a time."""
    left = [point for point in points if point != ord(NEUTRAL)]
    return (left[start : start + CHUNK] for start in range(0, len(left), CHUNK))


def kinds(points: list[int], decomposed: Mapping[int, str]) -> dict[int, int]:
    """The sum of each character's kinds."""
    found = dict.fromkeys(SURROGATES, REMOVED)
    cleaned = changed(points, bert(clean_text=True))
    for point in points:
        found[point] = REMOVED * (cleaned.get(point) == "")
    for point in changed(points, bert(handle_chinese_chars=True)):
        found[point] |= IDEOGRAPH
    for point, text in changed(points, bert(strip_accents=True)).items():
        if point not in decomposed:
            assert text == "", f"U+{point:04X} is changed but not taken away"
            found[point] |= MARK
    split = pre_tokenizers.BertPreTokenizer()
    for chunk in chunks(points):
        text = NEUTRAL.join(map(chr, chunk))
        lengths = dict.fromkeys(range(0, len(text), 2), 0)
        for _, (start, end) in split.pre_tokenize_str(text):
            lengths.update(dict.fromkeys(range(start, end), end - start))
        for place, point in enumerate(chunk):
            length = lengths.get(2 * place, 0)
            found[point] |= SPACE * (length == 0) | PUNCTUATION * (length == 1)
    for point, text in cleaned.items():
        assert text == "" or (text == " " and found[point] & SPACE), f"U+{point:04X} cleaned"
    return found


def word_characters(points: Iterable[int]) -> set[int]:
    """The characters beside which the tokenizer finds no added token that is a single word."""
    tokenizer = Tokenizer(models.WordLevel({"": 0}, ""))
    tokenizer.add_tokens([AddedToken(NEUTRAL, single_word=True, normalized=False)])
    # Between two controls, which are no part of any word.
    assert tokenizer.encode(f"\x01{NEUTRAL}\x01").ids == [0, 1, 0]
    found = {ord(NEUTRAL)}
    for chunk in chunks(points):
        encoding = tokenizer.encode("".join(f"{chr(point)}{NEUTRAL}\x01" for point in chunk))
        alone = {start for start, stop in encoding.offsets if (stop - start, start % 3) == (1, 1)}
        found.update(point for place, point in enumerate(chunk) if 3 * place + 1 not in alone)
    assert not set(map(ord, " \x01.-")) & found and set(map(ord, "a_é東")) <= found
    return found


def combining_classes(points: list[int]) -> dict[int, int]:
    """Combining classes, told from the order in which the normalizer puts two marks."""
    # Marks of Unicode 3.2, which the library is sure to know; one class, 214, is younger.
    probes: dict[int, str] = {}
    for database in (unicodedata.ucd_3_2_0, unicodedata):
        for mark in map(chr, range(0x20000)):
            probes.setdefault(database.combining(mark), mark)
    del probes[0]
    normalize = normalizers.NFD().normalize_str

    def reorders(marks: list[int], before: str, after: str) -> set[int]:
        text = NEUTRAL.join(f"{before}{chr(mark)}{after}" for mark in marks)
        found = zip(marks, normalize(text).split(NEUTRAL), strict=bool(marks))
        return {mark for mark, result in found if result != f"{before}{chr(mark)}{after}"}

    lowest, highest = probes[min(probes)], probes[max(probes)]
    marks: set[int] = set()
    for chunk in chunks(points):
        marks |= reorders(chunk, "", lowest) | reorders(chunk, highest, "")
    left, found = sorted(marks), {}
    for order, probe in probes.items():
        moved = reorders(left, "", probe) | reorders(left, probe, "")
        found |= {mark: order for mark in left if mark not in moved}
        left = sorted(moved)
    assert not left, f"no known combining class: {', '.join(f'U+{mark:04X}' for mark in left)}"
    return found


def check_syllables(decomposed: Mapping[int, str]) -> None:
    """The app computes the parts of Korean syllables (Unicode, section 3.12)."""
    for place, point in enumerate(SYLLABLES):
        parts = chr(0x1100 + place // 588) + chr(0x1161 + place // 28 % 21)
        parts += chr(0x11A7 + place % 28) * (place % 28 > 0)
        assert decomposed[point] == parts, f"U+{point:04X} does not decompose by arithmetic"


def ranges(numbers: Mapping[int, int]) -> str:
    """`first-last:number ...` of equal numbers but 0."""
    found: list[list[int]] = []
    for point, number in sorted(numbers.items()):
        if not number:
            continue
        if found and found[-1][1] == point - 1 and found[-1][2] == number:
            found[-1][1] = point
        else:
            found.append([point, point, number])
    return " ".join(f"{first:x}-{last:x}:{number:x}" for first, last, number in found)


def mappings(texts: Mapping[int, str]) -> str:
    """`from:to,to ...`."""
    return " ".join(
        f"{point:x}:{','.join(f'{ord(c):x}' for c in text)}"
        for point, text in sorted(texts.items())
    )


if __name__ == "__main__":
    TABLES.write_text(tables(), encoding="utf-8")
