# SPDX-License-Identifier: Apache-2.0
"""Comparison of answers in each language, by the rules of that language's benchmark.

English follows SQuAD (Rajpurkar et al. 2016).  German, Spanish, Arabic, Vietnamese, Hindi and
Chinese follow MLQA (Lewis et al. 2020): Unicode punctuation and the language's own articles do not
count, and Chinese is compared by characters (mixed segmentation).  Other languages follow the same
scheme.  Korean follows KorQuAD 1.0 (Lim et al. 2019): F1 over characters, exact match over words.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

ENGLISH: Final = "en"
AUTO: Final = "auto"
CODE: Final = re.compile(r"([a-z]{2,3})([-_][A-Za-z0-9]+)*")

# Scripts without spaces between words: each character is a token, other runs are words.  The
# blocks are Thai, Lao, Burmese, Khmer, kana, and the Chinese characters of every plane.
UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
# What KorQuAD's script replaces by a space before anything else.
KORQUAD_QUOTES: Final = re.compile("['\"《》<>〈〉()\u2018\u2019]")


@dataclass(frozen=True)
class Rules:
    """How answers of one language are made comparable.

    Attributes:
        articles: words that do not count.
        elided: articles that an apostrophe joins to the next word, such as `l` in French.
        anywhere: a part of words that does not count wherever it stands.
        punctuation: "ascii" removes that of ASCII, "unicode" all of it.
        tokens: "words" between spaces, "mixed" (each character of a script without spaces, and the
            words between them), or "characters" for F1 alone, as KorQuAD does.
    """

    articles: str = ""
    elided: str = ""
    anywhere: str = ""
    punctuation: Literal["ascii", "unicode"] = "unicode"
    tokens: Literal["words", "mixed", "characters"] = "words"


MIXED: Final = Rules(tokens="mixed")
RULES: Final = {
    ENGLISH: Rules("a an the", punctuation="ascii"),
    # MLQA's lists.
    "ar": Rules(anywhere="ال"),
    "de": Rules("ein eine einen einem eines einer der die das den dem des"),
    "es": Rules("un una unos unas el la los las"),
    "vi": Rules("của là cái chiếc những"),
    # The articles of the language; of French with their contractions, as FQuAD counts them.
    "ca": Rules("un una uns unes el la els les", elided="l"),
    "da": Rules("en et"),
    "el": Rules("ο η το οι τα του της των τον την τους τις ένας μία μια ένα"),  # noqa: RUF001
    "fr": Rules("un une des le la les du au aux", elided="l"),
    "hu": Rules("a az egy"),
    "it": Rules("un uno una il lo la i gli le", elided="l un"),
    "nb": Rules("en ei et"),
    "nl": Rules("de het een"),
    "no": Rules("en ei et"),
    "pt": Rules("um uma uns umas o a os as"),
    "ro": Rules("un o"),
    "sv": Rules("en ett"),
    # Scripts without spaces.
    **dict.fromkeys(("zh", "ja", "th", "lo", "km", "my"), MIXED),
    "ko": Rules(punctuation="ascii", tokens="characters"),
}
OTHERS: Final = Rules()  # no articles: Hindi, Russian, Turkish, Polish and the rest

# Frequent words that are no articles alone; they tell languages of the Latin script apart.
FUNCTION_WORDS: Final = {
    ENGLISH: "the of and to in was is for that with as by on from were are which his at an",
    "ca": "el la de i que en les els dels és amb una per del al va ser com més l d",
    "da": "og i at det er en af til på som den for med der de ikke et var fra blev",
    "de": "der die das und von den dem im des mit ist als auf für eine zu wurde nicht sich auch",
    "es": "el la los las de y en que del por una con fue para su al como es se más",
    "fr": "le la les de des et du en est dans une par que pour qui au sur il sont à",
    "id": "yang dan di dengan untuk pada dari ini dalam adalah ke sebagai oleh itu tidak",
    "it": "il di e della che la del per è in una con nel dei le da gli al sono alla",
    "nb": "og i det er på en til som av for at med de den ikke et har var fra ble",
    "nl": "de het een van en in is dat op te met voor door zijn werd die aan als ook uit",
    "pt": "o de e da do que em os as uma com para por no na foi dos ao é não",
    "sv": "och i att det som en på är av för med den till var han de inte om ett från",
}
# Letters of one language of the Latin script, with the share of letters that they exceed in it.
LETTERS: Final = {
    "cs": ("ěřů", 0.015),
    "hu": ("őű", 0.01),
    "pl": ("łąęśżźń", 0.015),
    "ro": ("ăîșțşţ", 0.02),
    "tr": ("ğışç", 0.03),
    "vi": ("ăâđêôơưạảấầẩậắặẻẽếềểệịọỏốồổộớờởợụủứừửựỳỵỷỹ", 0.1),
}
# Scripts by the first word of their characters' Unicode names.
SCRIPTS: Final = {
    "HANGUL": "ko",
    "THAI": "th",
    "LAO": "lo",
    "KHMER": "km",
    "MYANMAR": "my",
    "ARABIC": "ar",
    "DEVANAGARI": "hi",
    "BENGALI": "bn",
    "TAMIL": "ta",
    "TELUGU": "te",
    "CYRILLIC": "ru",
    "GREEK": "el",
    "HEBREW": "he",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy",
}
PERSIAN: Final = frozenset("پچژگی")  # letters that Arabic has not; Urdu has them too
ENOUGH: Final = 100_000  # characters that are looked at: a language shows in far fewer


def problem(language: str) -> str | None:
    """What is wrong with a value of `--language`; None if it is a code or `auto`."""
    if language == AUTO or CODE.fullmatch(language):
        return None
    return f"--language {language}: give a code of two or three letters such as de or zh, or {AUTO}"


def rules_of(language: str) -> Rules:
    """The rules of a language by its code, such as `de` or `pt-BR`."""
    return RULES.get(base(language), OTHERS)


def describe(language: str) -> dict[str, Any]:
    """The rules of a language in a document, for programs that score without this module."""
    rules = rules_of(language)
    return {
        "language": language,
        "articles": rules.articles.split(),
        "elided": rules.elided.split(),
        "anywhere": rules.anywhere,
        "punctuation": rules.punctuation,
        "tokens": rules.tokens,
    }


def base(language: str) -> str:
    """The language of a code without region and script: `zh` of `zh-Hant`."""
    return re.split("[-_]", language)[0].lower()


def normalize(text: str, language: str) -> str:
    """An answer as exact match compares it: lower case, no punctuation, no articles, one space."""
    rules = rules_of(language)
    text = text.lower()
    if rules.tokens == "characters":
        text = KORQUAD_QUOTES.sub(" ", text)
    if rules.elided:
        text = re.sub(rf"\b(?:{rules.elided.replace(' ', '|')})['\u2019]", " ", text)
    text = "".join(char for char in text if not _punctuation(char, rules))
    if rules.articles:
        text = re.sub(rf"\b(?:{rules.articles.replace(' ', '|')})\b", " ", text)
    if rules.anywhere:
        text = text.replace(rules.anywhere, " ")
    if rules.tokens == "mixed":
        text = UNSPACED.sub(r" \g<0> ", text)
    return " ".join(text.split())


def tokens(text: str, language: str) -> list[str]:
    """What F1 counts: words, or characters where the language's benchmark counts them."""
    plain = normalize(text, language)
    if rules_of(language).tokens == "characters":
        return [char for char in plain if char != " "]
    return plain.split()


def f1(prediction: str, answer: str, language: str) -> float:
    """The harmonic mean of precision and recall of tokens, 0 to 1; two empty texts agree."""
    mine, gold = tokens(prediction, language), tokens(answer, language)
    if not mine or not gold:
        return float(mine == gold)
    shared = sum((Counter(mine) & Counter(gold)).values())
    return 2 * shared / (len(mine) + len(gold))


def exact(prediction: str, answer: str, language: str) -> float:
    """1 where the two texts are equal after `normalize`, else 0."""
    return float(normalize(prediction, language) == normalize(answer, language))


def _punctuation(char: str, rules: Rules) -> bool:
    return char in string.punctuation or (
        rules.punctuation == "unicode" and unicodedata.category(char).startswith("P")
    )


def detect(texts: Iterable[str]) -> str | None:
    """The code of the language of some texts; None where nothing tells it.

    The script decides; within the Latin script, frequent words do.  A language that shares its
    script and has no rules of its own is scored rightly under the code of another (Ukrainian as
    `ru`, Marathi as `hi`): neither has articles.

    Args:
        texts: the first `ENOUGH` characters of them are looked at.
    """
    kept, left = [], ENOUGH
    for text in texts:
        kept.append(text[:left])
        left -= len(kept[-1])
        if left <= 0:
            break
    sample = "\n".join(kept).lower()
    scripts: Counter[str] = Counter()
    for char, count in Counter(sample).items():
        if char.isalpha():
            scripts[unicodedata.name(char, "?").split()[0].split("-")[0]] += count
    kana = scripts.pop("HIRAGANA", 0) + scripts.pop("KATAKANA", 0)
    letters = sum(scripts.values()) + kana
    if not letters:
        return None
    han = scripts["CJK"]
    if han + kana > letters / 2:
        return "ja" if kana > han / 10 else "zh"
    script, count = scripts.most_common(1)[0]
    if script == "LATIN":
        return _latin(sample, count)
    # Korean texts name things in Chinese and Latin letters too: the most frequent script wins.
    code = SCRIPTS.get(script)
    if code == "ar" and sum(sample.count(char) for char in PERSIAN) > count / 20:
        return "fa"
    return code


def _latin(sample: str, letters: int) -> str | None:
    """The language of a text in lower-case Latin letters."""
    # How far each language's letters exceed their limit; Vietnamese has the Romanian ones too.
    above = {
        code: sum(map(sample.count, special)) / (limit * letters)
        for code, (special, limit) in LETTERS.items()
    }
    for code in ("vi", *sorted(above, key=lambda code: -above[code])):
        if above[code] > 1:
            return code
    words = Counter(re.findall(r"[^\W\d_]+", sample))
    shares = {
        code: sum(words[word] for word in frequent.split())
        for code, frequent in FUNCTION_WORDS.items()
    }
    best = max(shares, key=lambda code: shares[code])
    # A few words of another language in an English text, or a text of two words, tell nothing.
    total = sum(words.values())
    return best if shares[best] > 0.1 * total and total >= 20 else None
