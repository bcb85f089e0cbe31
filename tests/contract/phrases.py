# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: RUF001 - letters of other scripts that look like Latin ones are meant
"""Answers in many languages, on which rules of scoring differ; part of `make_golden.py`."""

from __future__ import annotations

# The first and last character of each script without spaces, with their neighbors.
EDGES = tuple(
    f"a{chr(first - 1)}{chr(first)}b{chr(last)}{chr(last + 1)}c"
    for first, last in (
        *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3005, 0x3007)),
        *((0x3040, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF)),
        *((0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x20000, 0x3FFFF)),
    )
)
# Answers with articles, elisions, punctuation and marks of each language.
PHRASES = {
    "ar": ("الجسر", "جسر هارو", "في الجسر الكبير، عام ١٩٠٤", "المهندسة «مارا»؟", "الالال"),
    "ca": ("l'enginyera", "l\u2019enginyera Mara", "el pont", "les unes", "d'el l'l'el"),
    "da": ("en bro", "et tårn og en bro", "bro", "Ørsted", "den-et-ene"),
    "de": ("die Brücke", "der Brücke des Dorfes", "Brücke", "ein\u2013einen", "STRASSE „das“"),
    "el": ("ο πύργος", "η γέφυρα της Μαρίας", "ΤΟΥ ΟΔΥΣΣΕΥΣ", "πύργος·", "μία μια ένα"),
    "en": ("the bridge", "a bridge, an arch", "bridge_the_arch", "\u201cthe\u201d", "the_a"),
    "es": ("la ingeniera", "¿Quién? Las unas", "el puente del río", "¡un!", "los\u00a0años"),
    "fr": ("l'ingénieure", "L\u2019ingénieure", "d'une école", "au pont de l'eau", "l' l'_l'a"),
    "hi": ("पुल का नाम", "१९०४ में।", "मारा क्विस्ट", "में", "नदी॥"),
    "hu": ("a híd", "az egyik híd", "egy híd", "híd\u201d", "A-Z"),
    "it": ("l'arco", "un'altra", "gli archi", "dell'arco e un' l'", "lo zio \u00abil\u00bb"),
    "ja": ("霍洛橋は1904年", "ロブスターの塔", "「東京」", "東京タワー。", "々〆〇 ｶﾞ"),
    "ko": ("마라가 설계했다", "《마라》", "1904년에", "<마라> 'a' (b)", "마라·퀴스트"),
    "nl": ("de brug", "het een en", "een brug", "'s avonds", "brug\u2026"),
    "pt": ("a ponte", "uma ponte dos rios", "os arcos", "o\u2014a", "às"),
    "ro": ("un pod", "o punte", "podul", "un-o-un", "„o”"),
    "ru": ("мост", "Мост!", "в 1904 году", "«Харроу»", "ё е"),
    "sv": ("en bro", "ett torn", "bron", "en\u2013ett", "Ångström"),
    "th": ("สะพาน", "กรุงเทพ 1904", "มารา ควิสต์", "สะพานฯ", "ๆ๏"),
    "tr": ("köprü", "İstanbul'da", "IŞIK ışık", "1904\u2019te", "bir köprü"),
    "vi": ("của cầu", "những cây cầu", "là cái", "chiếc-cầu", "cái\u0301 cầu"),
    "zh": ("玛拉设计", "由工程师玛拉，于1904年", "玛拉。", "the 桥", "\U00020000\U0002a6d6桥a桥"),
}
