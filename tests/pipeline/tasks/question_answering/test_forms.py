# SPDX-License-Identifier: Apache-2.0
"""Data as people have it: what is read and counted, and what is refused with a way out."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UserError
from pipeline.tasks.question_answering.asked import read_asked
from pipeline.tasks.question_answering.forms import REPAIRS, readings
from pipeline.tasks.question_answering.squad import (
    UNKNOWN,
    EmptyAnswers,
    QuestionSet,
    load_questions,
    parse_squad,
)

PASSAGE = "The mill of Ostby grinds rye. Ida Falk runs it since 1987."
IDA = PASSAGE.index("Ida")
RIGHT = {"text": "Ida Falk", "answer_start": IDA}
YEAR = {"text": "1987", "answer_start": PASSAGE.index("1987")}


def qa(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {"id": f"q{number}", "question": "Who runs it?", "answers": [RIGHT], **changes}


def squad(*questions: dict[str, Any], context: str = PASSAGE) -> dict[str, Any]:
    return {"data": [{"title": "Mill", "paragraphs": [{"context": context, "qas": [*questions]}]}]}


def row(number: int = 0, **changes: Any) -> dict[str, Any]:
    answers = {"text": ["Ida Falk"], "answer_start": [IDA]}
    base = {"id": f"r{number}", "title": "Mill", "context": PASSAGE, "question": "Who runs it?"}
    return {**base, "answers": answers, **changes}


def parse(
    content: Any, part: Any = "train", bad: Any = "error", empty: EmptyAnswers = "error"
) -> QuestionSet:
    if not isinstance(content, bytes):
        content = json.dumps(content).encode()
    return parse_squad(content, "my.json", bad, part, empty)


def refusal(*arguments: Any, **settings: Any) -> str:
    with pytest.raises(UserError) as caught:
        parse(*arguments, **settings)
    message = str(caught.value)
    assert message.isprintable() and "my.json" in message and len(message) < 700
    return message


@pytest.mark.parametrize("part", ["train", "dev"])
@pytest.mark.parametrize(
    ("question", "repairs"),
    [
        (qa(answers=[{"text": "Ida Falk", "answer_start": str(IDA)}]), {"offsets_as_text": 1}),
        (qa(answers=[{"text": "Ida Falk", "answer_start": f" {IDA} "}]), {"offsets_as_text": 1}),
        (qa(answers=[{"text": "Ida Falk", "answer_start": float(IDA)}]), {}),
        (qa(answers={"text": ["Ida Falk"], "answer_start": [IDA]}), {}),
        (qa(answers={"text": ["Ida Falk"], "answer_start": [str(IDA)]}), {"offsets_as_text": 1}),
        (qa(answers=RIGHT), {"single_answers": 1}),
        ({"id": "q0", "question": "Who?", "answer": RIGHT}, {"single_answers": 1}),
        ({"id": "q0", "question": "Who?", "answer": [RIGHT]}, {}),
        (qa(is_impossible=0), {"other_booleans": 1}),
        (qa(is_impossible="False"), {"other_booleans": 1}),
        (qa(is_impossible=None), {}),
        (qa(id=None), {"ids_made": 1}),
        (qa(id=7), {}),
        (qa(question="Who\0runs it?"), {"nul_characters": 1}),
    ],
)
def test_what_has_one_meaning_is_read_and_counted(
    question: dict[str, Any], repairs: dict[str, int], part: str
) -> None:
    found = parse(squad(question), part)
    (one,) = found.questions
    assert (one.answers, one.starts) == (("Ida Falk",), (IDA,))
    assert "\0" not in one.text
    assert dict(found.repairs) == repairs
    assert found.facts()["counts"] == {"questions": 1, "passages": 1, "skipped": 0, **repairs}
    for kind, count in repairs.items():
        assert f"{REPAIRS[kind]}: {count}" in found.repaired
    assert bool(found.repaired) == bool(repairs)


@pytest.mark.parametrize("value", [True, 1, "true", "True", "1", "yes"])
@pytest.mark.parametrize("answers", [[], [RIGHT], None])
def test_an_impossible_question_is_one_however_it_is_written(value: Any, answers: Any) -> None:
    for part in ("train", "dev"):
        found = parse(squad(qa(0), qa(1, is_impossible=value, answers=answers)), part)
        assert found.questions[1].answers == ()
        assert found.repairs.get("other_booleans", 0) == (value is not True)


def test_a_truth_value_that_is_none_is_refused() -> None:
    assert "`is_impossible` of data[0].paragraphs[0].qas[0] is 'maybe'" in refusal(
        squad(qa(is_impossible="maybe"))
    )


ROWS = [row(0), row(1, answers={"text": [], "answer_start": []})]
LINES = "".join(json.dumps(one) + "\n" for one in ROWS)


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS).encode(),
        json.dumps({"version": "1", "data": ROWS}).encode(),
        LINES.encode(),
        LINES.replace("\n", "\r\n").encode("utf-8-sig"),
        ("\n" + LINES.replace("\n", "\n\n")).encode(),
        gzip.compress(LINES.encode()),
        gzip.compress(json.dumps(ROWS, indent=1).encode()),
    ],
)
def test_rows_are_read_from_a_list_from_lines_and_from_gzip(content: bytes) -> None:
    found = parse(content)
    assert [q.id for q in found.questions] == ["r0", "r1"]
    assert found.questions[0].starts == (IDA,)
    assert found.questions[1].answers == (), "a row's empty list is the usual form of no answer"
    assert not found.repairs and not found.repaired


def test_one_row_and_articles_without_a_file_around_them_are_read() -> None:
    assert parse(row()).questions == parse([row()]).questions
    article = squad(qa())["data"][0]
    lines = "\n".join(json.dumps(one) for one in (article, squad(qa(1))["data"][0]))
    assert parse(article).questions[0].title == "Mill"
    assert [q.id for q in parse(lines.encode()).questions] == ["q0", "q1"]


def test_files_in_gzip_and_lines_are_found_by_their_name(tmp_path: Path) -> None:
    for name, content in (
        ("a.json.gz", gzip.compress(json.dumps(squad(qa())).encode())),
        ("a.jsonl", LINES.encode()),
        ("a.jsonl.gz", gzip.compress(LINES.encode())),
    ):
        (tmp_path / name).write_bytes(content)
        found = load_questions(str(tmp_path / name), "train")
        assert found.name == name and found.questions[0].answers == ("Ida Falk",)
    with pytest.raises(UserError, match=r"no data file nothing\.json\.gz"):
        load_questions("nothing.json.gz", "train")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(LINES.encode(), mtime=0)[:-9], "damaged gzip file"),
        (gzip.compress(b"", mtime=0), "is empty"),
        ((LINES + LINES[:-20]).encode(), "not valid JSON (line 4"),
        ((LINES + "{]\n").encode(), "not valid JSON (line 3"),
        (b"3\n4\n", "row 0"),
    ],
)
def test_damaged_lines_and_archives_are_placed(content: bytes, said: str) -> None:
    assert said in refusal(content)


def test_keys_that_stand_twice_are_counted_and_the_last_one_is_used() -> None:
    text = json.dumps(squad(qa())).replace('"question":', '"question": "What?", "question":')
    found = parse(text.encode())
    assert found.questions[0].text == "Who runs it?"
    assert found.repairs == {"repeated_keys": 1}
    lines = parse((json.dumps(row())[:-1] + ', "id": "last"}\n' + json.dumps(row())).encode())
    assert [q.id for q in lines.questions] == ["last", "r0"]
    assert lines.repairs == {"repeated_keys": 1}


def test_one_wrong_reference_leaves_the_others() -> None:
    content = squad(qa(answers=[{"text": "Mrs Falk", "answer_start": -1}, RIGHT]), qa(1))
    assert "1 of 2 questions" in refusal(content)
    found = parse(content, bad="skip")
    assert [q.answers for q in found.questions] == [("Ida Falk",)] * 2
    assert (found.skipped, dict(found.repairs)) == (0, {"references_left_out": 1})


def test_for_scoring_answers_count_by_their_text() -> None:
    answers: list[Any] = [
        *({"text": "Mrs Falk", "answer_start": -1}, RIGHT, {"text": "Falk"}),
        *({"text": "Ida", "answer_start": None}, "Ida F.", {"text": " ", "answer_start": 0}),
    ]
    found = parse(squad(qa(answers=answers)), "dev")
    (one,) = found.questions
    assert one.answers == ("Mrs Falk", "Ida Falk", "Falk", "Ida", "Ida F.")
    assert one.starts == (UNKNOWN, IDA, UNKNOWN, UNKNOWN, UNKNOWN)
    assert dict(found.repairs) == {"references_by_text": 4, "empty_references": 1}
    assert parse([row(answers={"text": ["Falk"]})], "dev").questions[0].starts == (UNKNOWN,)


@pytest.mark.parametrize("part", ["train", "dev"])
@pytest.mark.parametrize(
    "question",
    [
        qa(1, answers=[{"text": "", "answer_start": -1}]),
        qa(1, answers=[{"text": " ", "answer_start": 0}, {"text": "", "answer_start": 0}]),
        qa(1, answers={"text": [""], "answer_start": [0]}),
        qa(1, answers=[{"text": "", "answer_start": ""}]),
        qa(1, answers={"text": [""], "answer_start": [None]}),
        qa(1, answers=[], is_impossible=False),
    ],
)
def test_an_empty_answer_has_two_meanings_and_the_user_says_which(
    question: dict[str, Any], part: str
) -> None:
    content = squad(qa(0), question)
    message = refusal(content, part)
    for words in ("1 of 2", "'q1'", "--empty-answers unanswerable", "--empty-answers drop"):
        assert words in message
    taken = parse(content, part, empty="unanswerable")
    assert [q.answers for q in taken.questions] == [("Ida Falk",), ()]
    assert dict(taken.repairs) == {"empty_answers": 1}
    left = parse(content, part, empty="drop")
    assert [q.id for q in left.questions] == ["q0"]
    assert dict(left.repairs) == {"empty_answers_dropped": 1}


def test_an_empty_list_without_a_word_is_unanswerable_and_counted() -> None:
    found = parse(squad(qa(0), qa(1, answers=[])))
    assert found.has_unanswerable
    assert dict(found.repairs) == {"empty_lists": 1}


@pytest.mark.parametrize("blank", ["", "  \t", "\u3000"])
def test_a_question_without_text_teaches_nothing_and_scores_nothing(blank: str) -> None:
    content = squad(qa(0), qa(1, question=blank))
    message = refusal(content)
    assert "1 of 2 questions have no text" in message and "'q1'" in message
    found = parse(content, "dev")
    assert len(found.questions) == 2 and dict(found.repairs) == {"blank_questions": 1}


@pytest.mark.parametrize(
    "content",
    [
        squad({"id": "a", "question": "Who?"}, {"id": "b", "question": "When?"}),
        [row(answers={"text": [], "answer_start": []})] * 2,
        [{key: value for key, value in row().items() if key != "answers"}],
        [row(answers=None)],
    ],
)
def test_without_any_answer_there_is_nothing_to_score_against(content: Any) -> None:
    assert "no answers to score against" in refusal(content, "dev")


def test_some_questions_without_answers_are_placed() -> None:
    message = refusal(squad(qa(0), {"id": "b", "question": "When?"}), "dev")
    assert "1 of 2 questions have no `answers`" in message and "qas[1]" in message


def test_a_passage_may_stand_without_an_article() -> None:
    paragraph = squad(qa())["data"][0]["paragraphs"][0]
    assert parse({"data": [paragraph]}).questions[0].answers == ("Ida Falk",)
    assert parse([paragraph, {**paragraph, "qas": [qa(1)]}]).questions[1].id == "q1"


def test_the_form_of_korquad_2_is_named() -> None:
    article = {"title": "Mill", "context": f"<p>{PASSAGE}</p>", "qas": [qa(answer=RIGHT)]}
    article["raw_html"] = ""
    for part in ("train", "dev"):
        message = refusal({"version": "KorQuAD_2.0", "data": [article]}, part)
        assert "KorQuAD 2.0" in message and "`paragraphs`" in message and "data[0]" in message


LINED = "Mills.\r\nThe 🏭 of Ostby,\r\nrun by Ida Falk."


@pytest.mark.parametrize(
    ("context", "offset", "said"),
    [
        (LINED, lambda c, at: at - c[:at].count("\r\n"), "each CRLF as one line feed"),
        (
            LINED.replace("\r\n", "\n"),
            lambda c, at: at + c[:at].count("\n"),
            "each line feed as CRLF",
        ),
        (LINED, lambda c, at: len(c[:at].encode("utf-16-le")) // 2, "UTF-16 units"),
        (LINED, lambda c, at: len(c[:at].encode()), "bytes of UTF-8"),
        (LINED, lambda _, at: at + 1, "characters from 1, or with a byte order mark"),
        ("\ufeff" + LINED, lambda _, at: at - 1, "after the passage's byte order mark"),
    ],
)
def test_a_reading_that_fits_every_offset_is_named(
    context: str, offset: Callable[[str, int], int], said: str
) -> None:
    def answer(text: str, wrong: int = 0) -> dict[str, Any]:
        return {"text": text, "answer_start": offset(context, context.index(text)) + wrong}

    content = squad(
        qa(answers=[answer("Ida Falk")]), qa(1, answers=[answer("Falk")]), context=context
    )
    message = refusal(content)
    assert "'Ida Falk' expected at" in message and said in message
    assert said in refusal(content, bad="skip")
    assert said in parse(content, "dev").repaired, "the answers count by their text"
    one = squad(
        qa(answers=[answer("Ida Falk")]), qa(1, answers=[answer("Falk", 5)]), context=context
    )
    assert "every offset" not in refusal(one)


def test_line_ends_and_marks_change_no_offset_that_is_right() -> None:
    for context in (LINED, "\ufeff" + LINED):
        at = context.index("Ida")
        assert "code points" in readings(context, "Ida Falk", at)
        content = squad(qa(answers=[{"text": "Ida Falk", "answer_start": at}]), context=context)
        for encoding in ("utf-8", "utf-8-sig"):
            text = json.dumps(content, ensure_ascii=False, indent=1).replace("\n", "\r\n")
            (one,) = parse(text.encode(encoding)).questions
            assert (one.context, one.starts) == (context, (at,))


def test_windows_1252_is_recognized_by_its_offsets() -> None:
    passage = "Die Mühle in Ostby gehört Ida Falk."
    right = {"text": "Ida Falk", "answer_start": passage.index("Ida")}
    for start, fits in ((right, True), (right | {"answer_start": 3}, False)):
        text = json.dumps(squad(qa(answers=[start]), context=passage), ensure_ascii=False)
        message = refusal(text.encode("cp1252"))
        assert "not UTF-8 text (byte " in message and "Die Mühle" in message
        assert ("every offset of the file fits" in message) == fits


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (squad(qa(id="q\ud83d")), "`id` of data[0].paragraphs[0].qas[0]"),
        ({"data": [{**squad(qa())["data"][0], "title": "\ude00"}]}, "`title` of"),
        (squad(qa(answers=[{"text": "\ud83d", "answer_start": 0}])), "`text` of"),
        ([row(title="\ud83d")], "`title` of row 0"),
        ([row(answers={"text": ["\ud83d"], "answer_start": [0]})], "`text` of row 0.answers"),
    ],
)
def test_half_a_surrogate_pair_is_refused_anywhere(content: Any, place: str) -> None:
    message = refusal(content)
    assert "surrogate" in message and place in message


def test_nul_becomes_a_space_and_offsets_stay() -> None:
    context = PASSAGE.replace(" grinds", "\0grinds").replace("Ida ", "Ida\0")
    answers = [{"text": "Ida\0Falk", "answer_start": IDA}]
    found = parse(squad(qa(answers=answers, id="q\0"), context=context))
    (one,) = found.questions
    assert one.context == PASSAGE and one.answers == ("Ida Falk",) and one.id == "q "
    assert found.repairs["nul_characters"] >= 3


def test_what_was_left_out_is_said_in_one_line() -> None:
    wrong = qa(1, answers=[{"text": "Bo", "answer_start": 0}])
    found = parse(squad(qa(0, id=None), wrong), bad="skip")
    assert found.repaired == (
        "my.json: missing ids, made from the question's place: 1; questions left out, whose "
        "answer is not at its offset: 1"
    )
    assert found.limited(1).repaired == found.repaired


@pytest.mark.parametrize("part", ["train", "dev"])
def test_each_repair_has_words_and_every_count_is_one_of_them(part: str) -> None:
    questions = [
        *(qa(0), qa(0), qa(2, id=None), qa(3, answers=RIGHT), qa(4, is_impossible="1")),
        *(qa(5, answers=[]), qa(6, answers=[YEAR, {"text": "x", "answer_start": 0}])),
        qa(7, answers=[{"text": "", "answer_start": 0}]),
    ]
    for empty in ("unanswerable", "drop"):
        found = parse(squad(*questions), part, "skip", empty)
        assert set(found.repairs) <= set(REPAIRS)
        assert list(found.repairs) == [kind for kind in REPAIRS if kind in found.repairs]
        assert len({q.id for q in found.questions}) == len(found.questions)


def test_one_id_for_all_questions_takes_no_longer_than_one_for_each() -> None:
    row = {"id": "x", "question": "q", "context": "a b", "answers": ["a"]}
    other = [{**row, "id": "x#2"}]
    found = parse_squad(json.dumps([*other, *[row] * 20_000]).encode(), "a.json", "error", "dev")
    assert [one.id for one in found.questions[:4]] == ["x#2", "x", "x#3", "x#4"]
    assert len({one.id for one in found.questions}) == 20_001
    assert found.repairs["ids_numbered"] == 19_999


@pytest.mark.parametrize("own", ["NaN", "-1e999", "[[1]]", '{"a": 1}'])
def test_an_id_that_no_line_of_json_can_name_is_refused(own: str) -> None:
    row = f'{{"id": {own}, "question": "q", "context": "c"}}'
    with pytest.raises(UserError, match="`id` of row 0 is"):
        read_asked(row.encode(), "a.jsonl")
