# SPDX-License-Identifier: Apache-2.0
"""Answers compared as the benchmark of each language compares them; figures worked out by hand."""

# ruff: noqa: RUF001 - characters that look like others are the point

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.text import squad

from pipeline.tasks.question_answering import languages
from pipeline.tasks.question_answering.languages import detect, exact, f1, normalize, tokens
from pipeline.tasks.question_answering.squad import load_questions


def torchmetrics(prediction: str, answer: str) -> tuple[float, float]:
    found = squad(
        [{"prediction_text": prediction, "id": "0"}],
        [{"answers": {"answer_start": [0], "text": [answer]}, "id": "0"}],
    )
    return float(found["exact_match"]), float(found["f1"])


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.lists(
            st.sampled_from(
                [
                    "Anna",
                    "anna",
                    "the",
                    "a",
                    "An",
                    "Rome,",
                    "—",
                    "“Q”",
                    "l'eau",
                    "the-end",
                    "東京",
                    "  ",
                ]
            ),
            max_size=4,
        ).map(" ".join),
        min_size=2,
        max_size=2,
    )
)
def test_english_is_squads_own_rule(pair: list[str]) -> None:
    prediction, answer = pair
    wanted = torchmetrics(prediction, answer)
    assert 100 * exact(prediction, answer, "en") == wanted[0]
    assert 100 * f1(prediction, answer, "en") == pytest.approx(wanted[1], rel=1e-5)


@pytest.mark.parametrize(
    ("language", "text", "plain"),
    [
        ("en", "The „Bridge“ of a Town!", "„bridge“ of town"),
        ("de", "Die „Brücke“ des Ortes, einer der drei!", "brücke ortes drei"),
        ("de-CH", "«der Zug»", "zug"),
        ("es", "¿El río de los Andes?", "río de andes"),
        ("vi", "Chiếc cầu của làng", "cầu làng"),
        ("ar", "الجسر، الكبير", "جسر كبير"),
        ("hi", "नौ मेहराब।", "नौ मेहराब"),
        ("fr", "L’eau des Alpes et l'air, au lac", "eau alpes et air lac"),
        ("it", "L'acqua dell'Adda, gli archi e un'isola", "acqua delladda archi e isola"),
        ("pt", "Os rios e uma ponte", "rios e ponte"),
        ("nl", "Het dorp en de brug", "dorp en brug"),
        ("ru", "«Мост» — через реку", "мост через реку"),
        ("tr", "Bir köprü", "bir köprü"),
        ("zh", "约1904年，《玛拉》 Quist Co", "约 1904 年 玛 拉 quist co"),
        ("zh-Hant", "臺灣", "臺 灣"),
        ("ja", "東京タワー（港区）", "東 京 タ ワ ー 港 区"),
        ("th", "กรุง BTS เทพ", "ก ร ุ ง bts เ ท พ"),
        ("ko", "《서울》의 'N-타워', 1969년!", "서울 의 n타워 1969년"),
    ],
)
def test_case_punctuation_and_articles_of_the_language_do_not_count(
    language: str, text: str, plain: str
) -> None:
    assert normalize(text, language) == plain
    assert exact(text, plain, language) == 1.0


@pytest.mark.parametrize(
    ("language", "prediction", "answer", "equal", "overlap"),
    [
        # 1 of 1 and 1 of 2 words: 2 * 1 / 3.
        ("de", "Brücke", "die neue Brücke", 0, 2 / 3),
        ("en", "die Brücke", "Brücke", 0, 2 / 3),
        ("de", "die Brücke", "Brücke.", 1, 1),
        ("es", "el puente", "un puente", 1, 1),
        ("fr", "l'ingénieur", "un ingénieur", 1, 1),
        # 3 of 4 and 3 of 3 characters: 2 * 3 / 7.
        ("zh", "托勒河畔", "托勒河", 0, 6 / 7),
        ("zh", "1904年", "1904 年。", 1, 1),
        ("zh", "1904年", "1905年", 0, 1 / 2),
        ("ja", "東京都", "東京", 0, 4 / 5),
        ("th", "ทอง", "ทองคำ", 0, 3 / 4),
        # Words for exact match, characters for F1: 서울특별시 without its space has all 5 of 5.
        ("ko", "서울 특별시", "서울특별시", 0, 1),
        ("ko", "서울", "서울시", 0, 4 / 5),
        # Texts of punctuation and articles alone are empty.
        ("de", "", "der", 1, 1),
        ("de", "Haus", "der", 0, 0),
        ("zh", "", "", 1, 1),
        ("ko", "", "서울", 0, 0),
    ],
)
def test_figures_worked_out_by_hand(
    language: str, prediction: str, answer: str, equal: float, overlap: float
) -> None:
    assert exact(prediction, answer, language) == equal
    assert f1(prediction, answer, language) == pytest.approx(overlap)
    assert f1(answer, prediction, language) == pytest.approx(overlap)


def test_tokens_are_words_unless_the_benchmark_counts_characters() -> None:
    assert tokens("drei Bögen", "de") == ["drei", "bögen"]
    assert tokens("서울 시", "ko") == ["서", "울", "시"]
    assert tokens("\U00020bb7野屋 A1", "ja") == ["\U00020bb7", "野", "屋", "a1"]


SENTENCES = {
    "en": "The mill of the village was built in 1790 and is run by a family that has lived in it "
    "for two hundred years, with the help of their neighbors.",
    "de": "Die Mühle des Dorfes wurde 1790 gebaut und wird von einer Familie betrieben, die seit "
    "zweihundert Jahren in ihr lebt und sich mit den Nachbarn hilft.",
    "fr": "Le moulin du village a été construit en 1790 et il est tenu par une famille qui y vit "
    "depuis deux cents ans avec l'aide de ses voisins dans la vallée.",
    "es": "El molino del pueblo fue construido en 1790 y lo lleva una familia que vive en él desde "
    "hace doscientos años con la ayuda de los vecinos.",
    "it": "Il mulino del paese fu costruito nel 1790 ed è gestito da una famiglia che vi abita da "
    "duecento anni con l'aiuto dei vicini della valle.",
    "pt": "O moinho da aldeia foi construído em 1790 e é gerido por uma família que vive nele há "
    "duzentos anos com a ajuda dos vizinhos do vale.",
    "nl": "De molen van het dorp werd gebouwd in 1790 en wordt gedraaid door een familie die er "
    "al tweehonderd jaar woont met hulp van de buren.",
    "vi": "Cối xay của làng được xây dựng năm 1790 và một gia đình đã sống ở đó hai trăm năm.",
    "pl": "Młyn we wsi zbudowano w 1790 roku, a prowadzi go rodzina, która mieszka w nim od "
    "dwustu lat i korzysta z pomocy sąsiadów.",
    "tr": "Köyün değirmeni 1790 yılında yapıldı ve iki yüz yıldır içinde yaşayan bir aile "
    "tarafından komşuların yardımıyla işletiliyor.",
    "ro": "Moara satului a fost construită în 1790 și este condusă de o familie care locuiește "
    "acolo de două sute de ani.",
    "cs": "Mlýn ve vesnici byl postaven v roce 1790 a patří rodině, která v něm žije už dvě stě "
    "let s pomocí sousedů.",
    "hu": "A falu malmát 1790-ben építették, és egy család működteti, amely kétszáz éve él benne "
    "a szomszédok erős segítségével és jó kedvűen.",
    "sv": "Kvarnen i byn byggdes 1790 och drivs av en familj som har bott i den i två hundra år "
    "med hjälp av grannarna från dalen, och den är en av de äldsta.",
    "da": "Møllen i landsbyen blev bygget i 1790 og drives af en familie, der har boet i den i to "
    "hundrede år med hjælp fra naboerne, og den er en af de ældste.",
    "nb": "Møllen i bygda ble bygget i 1790 og drives av en familie som har bodd i den i to "
    "hundre år med hjelp fra naboene, og den er en av de eldste.",
    "ca": "El molí del poble va ser construït el 1790 i el porta una família que hi viu des de fa "
    "dos-cents anys amb l'ajuda dels veïns i de les cases de la vall.",
    "id": "Kincir di desa itu dibangun pada tahun 1790 dan dijalankan oleh keluarga yang tinggal "
    "di dalam rumah ini dengan bantuan dari para tetangga.",
    "zh": "村里的磨坊建于1790年，一家人在里面住了两百年。",
    "ja": "村の水車小屋は1790年に建てられ、家族が二百年住んでいる。",
    "ko": "마을의 방앗간은 1790년에 지어졌다. 水車 Mill.",
    "th": "โรงสีของหมู่บ้านสร้างขึ้นในปี 1790",
    "ar": "بنيت طاحونة القرية عام 1790 وتديرها عائلة تعيش فيها منذ مئتي عام",
    "fa": "آسیاب روستا در سال ۱۷۹۰ ساخته شد و خانواده‌ای دویست سال است که در آن زندگی می‌کند",
    "hi": "गाँव की चक्की 1790 में बनी थी",
    "ru": "Мельница деревни построена в 1790 году",
    "el": "Ο μύλος του χωριού χτίστηκε το 1790",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_the_language_is_found_by_script_and_frequent_words(language: str) -> None:
    assert detect([SENTENCES[language]]) == language


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1904 + 1",
        "Die Brücke",
        "Kylän mylly rakennettiin vuonna 1790, ja sitä pitää perhe, joka on asunut siinä jo kaksi "
        "vuosisataa naapurien avulla, ja jauhot menevät leipomoon.",
    ],
)
def test_a_language_that_nothing_tells_is_scored_as_english(text: str, tmp_path: Path) -> None:
    assert detect([text]) is None
    assert detect([]) is None
    file = tmp_path / "dev.json"
    row = {"question": "a?", "context": f"{text} a", "answers": [{"text": "a"}]}
    file.write_text(json.dumps([row]), encoding="utf-8")
    questions = load_questions(str(file), "dev")
    assert (questions.language, questions.facts()["language"]) == ("en", None)
    questions = load_questions(str(file), "dev", language="fi")
    assert (questions.language, questions.facts()["language"]) == ("fi", "fi")


@pytest.mark.parametrize(
    "text",
    [
        SENTENCES["en"] * 2 + " Its owners: Łącki, Dvořák and Őry.",
        SENTENCES["en"] + " It is called „Mühle“ and 水車.",
        SENTENCES["en"] * 3 + SENTENCES["de"],
    ],
)
def test_a_few_words_of_another_language_leave_it_english(text: str) -> None:
    assert detect([text]) == "en"


@pytest.mark.parametrize("part", ["train", "dev"])
def test_the_embedded_questions_are_english(part: str) -> None:
    assert load_questions("embedded", part).language == "en"  # type: ignore[arg-type]


@pytest.mark.parametrize("code", ["de", "zh", "pt-BR", "zh_Hant", "fil"])
def test_codes_with_regions_and_scripts_are_codes(code: str) -> None:
    assert languages.CODE.fullmatch(code)


@pytest.mark.parametrize("code", ["", "german", "DE", "d", "de-", "de CH"])
def test_anything_else_is_no_code(code: str) -> None:
    assert not languages.CODE.fullmatch(code)
