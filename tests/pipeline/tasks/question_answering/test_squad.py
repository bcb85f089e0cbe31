# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from converters import plain_file
from pipeline.data.sources import read_bytes
from pipeline.errors import UserError
from pipeline.tasks.question_answering.squad import (
    QuestionSet,
    load_questions,
    parse_squad,
)

CONTEXT = "The 😀 tower of Zürich was built by Anna in 1850."
ANNA = CONTEXT.index("Anna")
WriteSquad = Callable[..., Path]


def document(
    context: Any = CONTEXT,
    question: Any = "Who built it?",
    answers: Any = None,
    **extra: Any,
) -> dict[str, Any]:
    if answers is None:
        answers = [{"text": "Anna", "answer_start": ANNA}]
    qa = {"id": "q0", "question": question, "answers": answers, **extra}
    return {"data": [{"title": "Tower", "paragraphs": [{"context": context, "qas": [qa]}]}]}


def parse(content: Any, bad_answers: Any = "error") -> QuestionSet:
    if not isinstance(content, bytes):
        content = json.dumps(content).encode()
    return parse_squad(content, "my.json", bad_answers)


def refusal(content: Any, bad_answers: Any = "error") -> str:
    with pytest.raises(UserError) as caught:
        parse(content, bad_answers)
    message = str(caught.value)
    assert message.isprintable(), "one line, no control characters"
    assert "my.json" in message
    return message


def test_a_squad_1_file_is_read_whole(tiny_squad: WriteSquad) -> None:
    path = tiny_squad(count=12)
    found = load_questions(str(path), "train")
    assert found.name == "squad.json"
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [q.id for q in found.questions] == [f"q{i}" for i in range(12)]
    assert len(found.passages) == 4
    assert found.skipped == 0
    assert not found.has_unanswerable
    for question in found.questions:
        assert question.title == "Built"
        for answer, start in zip(question.answers, question.starts, strict=True):
            assert question.context[start:].startswith(answer)
    assert found.facts() == {
        "name": "squad.json",
        "sha256": found.sha256,
        "counts": {"questions": 12, "passages": 4, "skipped": 0},
        "language": "en",
    }


def test_the_unanswerable_questions_of_squad_2_are_kept(tiny_squad: WriteSquad) -> None:
    found = load_questions(str(tiny_squad(count=6, impossible=2)), "dev")
    assert [bool(q.answers) for q in found.questions] == [True] * 4 + [False] * 2
    assert found.has_unanswerable


def test_offsets_count_code_points_not_bytes_or_utf16_units() -> None:
    # "The 😀 tower" has 11 code points, 12 UTF-16 units and 14 bytes.
    assert parse(document(answers=[{"text": "tower", "answer_start": 6}])).questions[0].starts == (
        6,
    )
    for start in (7, 9):
        assert "not at its offset" in refusal(
            document(answers=[{"text": "tower", "answer_start": start}])
        )


def test_all_acceptable_answers_are_kept_in_order() -> None:
    answers = [
        {"text": "Anna", "answer_start": ANNA},
        {"text": "by Anna", "answer_start": ANNA - 3},
    ]
    question = parse(document(answers=answers)).questions[0]
    assert question.answers == ("Anna", "by Anna")
    assert question.starts == (ANNA, ANNA - 3)


def test_a_byte_order_mark_and_utf16_are_read_as_json_allows() -> None:
    text = json.dumps(document(), ensure_ascii=False)
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        assert parse(text.encode(encoding)).questions[0].context == CONTEXT


def test_an_impossible_question_may_lack_answers_and_ignores_given_ones() -> None:
    content = document(is_impossible=True)
    assert parse(content).questions[0].answers == ()
    del content["data"][0]["paragraphs"][0]["qas"][0]["answers"]
    assert parse(content).questions[0].answers == ()


def test_limited_takes_the_first_and_keeps_the_source(tiny_squad: WriteSquad) -> None:
    found = load_questions(str(tiny_squad(count=12)), "train")
    assert found.limited(None) is found
    assert found.limited(12) is found
    few = found.limited(5)
    assert few.questions == found.questions[:5]
    assert (few.name, few.sha256) == (found.name, found.sha256)
    assert len(few.passages) == 2


def test_bad_offsets_are_refused_with_the_first_one_named() -> None:
    message = refusal(document(answers=[{"text": "Anna", "answer_start": 0}]))
    for part in ("1 of 1 questions", "'q0'", "'Anna'", "at 0", "'The '", "--bad-answers skip"):
        assert part in message


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("Anna", ANNA - len(CONTEXT)),
        ("Anna", -1),
        ("by", ANNA),
        ("Anna", 10**6),
        ("anna", ANNA),
        ("Anna\u0301", ANNA),
    ],
)
def test_answers_that_do_not_stand_there_are_refused(text: str, start: int) -> None:
    # A negative start counts from the end in Python's slices, where it would find the answer.
    assert "not at its offset" in refusal(document(answers=[{"text": text, "answer_start": start}]))


def test_one_wrong_answer_among_right_ones_is_found() -> None:
    answers = [{"text": "Anna", "answer_start": ANNA}, {"text": "Anna", "answer_start": ANNA - 1}]
    assert f"at {ANNA - 1}" in refusal(document(answers=answers))


def test_bad_offsets_can_be_left_out_and_are_counted(tiny_squad: WriteSquad) -> None:
    path = tiny_squad(count=6)
    content = json.loads(path.read_text())
    content["data"][0]["paragraphs"][0]["qas"][1]["answers"][0]["answer_start"] += 1
    path.write_text(json.dumps(content))
    found = load_questions(str(path), "train", bad_answers="skip")
    assert [q.id for q in found.questions] == ["q0", "q2", "q3", "q4", "q5"]
    assert found.skipped == 1
    assert found.limited(2).skipped == 1


def test_a_file_whose_every_answer_is_bad_is_refused_even_with_skip() -> None:
    message = refusal(document(answers=[{"text": "Anna", "answer_start": 0}]), "skip")
    assert "no usable question" in message
    assert "1 left out" in message


def test_a_huge_wrong_answer_does_not_flood_the_message() -> None:
    message = refusal(document(answers=[{"text": "x" * 100_000, "answer_start": 0}]))
    assert len(message) < 600


def test_line_breaks_in_ids_and_answers_stay_out_of_the_message() -> None:
    content = document(answers=[{"text": "a\nb", "answer_start": 0}], id="q\r\n0")
    assert "not at its offset" in refusal(content)


def test_ids_that_are_used_again_get_a_number_that_is_free() -> None:
    content = document()
    content["data"] *= 3
    content["data"][1] = document(id="q0#2")["data"][0]
    found = parse(content)
    assert [q.id for q in found.questions] == ["q0", "q0#2", "q0#3"]
    assert found.repairs == {"ids_numbered": 1}


def test_a_question_without_id_is_known_by_its_place() -> None:
    content = document()
    del content["data"][0]["paragraphs"][0]["qas"][0]["id"]
    for without in (content, document(id=None)):
        found = parse(without)
        assert found.questions[0].id == "data[0].paragraphs[0].qas[0]"
        assert found.repairs == {"ids_made": 1}


@pytest.mark.parametrize("content", [b"", b"  \n\t "])
def test_an_empty_file_is_refused(content: bytes) -> None:
    assert "empty" in refusal(content)


def test_broken_json_names_the_line() -> None:
    message = refusal(json.dumps(document(), indent=1).encode()[:-40])
    assert "not valid JSON (line " in message
    assert "cut short" in message


def test_bytes_that_are_no_utf8_are_placed() -> None:
    content = json.dumps(document(), ensure_ascii=False).encode("latin-1", errors="replace")
    at = content.index(b"\xfc")
    assert f"not UTF-8 text (byte {at})" in refusal(content)


def test_nesting_too_deep_to_read_is_refused() -> None:
    assert "JSON" in refusal(b"[" * 200_000)


def test_a_number_too_long_to_read_is_refused() -> None:
    assert "JSON" in refusal(b'{"data": ' + b"9" * 10_000 + b"}")


@pytest.mark.parametrize("field", ["context", "question"])
def test_half_a_surrogate_pair_is_refused_before_a_tokenizer_sees_it(field: str) -> None:
    message = refusal(document(**{field: CONTEXT + "\ud83d"}))
    assert f"`{field}`" in message
    assert "surrogate" in message


@pytest.mark.parametrize(
    ("content", "place", "missing"),
    [
        ([], "the file", "`data` of type list"),
        ("text", "the file", "`data` of type list"),
        (None, "the file", "`data` of type list"),
        ({"data": {}}, "the file", "`data` of type list"),
        ({"data": [3]}, "data[0]", "`paragraphs` of type list"),
        ({"data": [{"paragraphs": None}]}, "data[0]", "`paragraphs` of type list"),
        ({"data": [{"paragraphs": [{}]}]}, "data[0].paragraphs[0]", "`context` of type str"),
        ({"data": [{"paragraphs": [{"context": ""}]}]}, "paragraphs[0]", "`qas` of type list"),
        (document(context=5), "data[0].paragraphs[0]", "`context` of type str"),
        (document(question=None), "qas[0]", "`question` of type str"),
        (document(answers="Anna"), "qas[0]", "`answers` of type list"),
        (document(answers=["Anna"]), "qas[0].answers", "`text` of type str"),
        (document(answers=[{"text": "Anna"}]), "answers", "`answer_start` of type int"),
        (document(answers=[{"text": "A", "answer_start": "36th"}]), "answers", "`answer_start`"),
        (document(answers=[{"text": "A", "answer_start": 36.5}]), "answers", "`answer_start`"),
        (document(answers=[{"text": "T", "answer_start": False}]), "answers", "`answer_start`"),
    ],
)
def test_anything_out_of_form_is_placed_and_the_form_is_shown(
    content: Any, place: str, missing: str
) -> None:
    message = refusal(content)
    assert f"{place} has no {missing}" in message
    assert "data[].paragraphs[].{context, qas[]" in message


@pytest.mark.parametrize("content", [{"data": []}, {"data": [{"paragraphs": []}]}])
def test_a_file_without_questions_is_refused(content: Any) -> None:
    assert "no usable question" in refusal(content)


@pytest.mark.parametrize("source", ["missing.json", "a/b/c", "/nowhere/x.json", "./x", "", "a\0b"])
def test_a_missing_file_is_refused_with_what_can_be_named(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no data file .*SQuAD.*rajpurkar/squad.*`embedded`"):
        load_questions(source, "train")


def test_a_folder_is_no_data_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no data file"):
        load_questions(str(tmp_path), "train")


def test_a_file_that_cannot_be_opened_says_why(
    tiny_squad: WriteSquad, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny_squad()

    def refuse(*_: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(plain_file, "read_bytes", refuse)
    with pytest.raises(UserError, match=r"cannot read .*squad\.json: Permission denied; check"):
        read_bytes(path)


def test_the_embedded_parts_are_found_by_name() -> None:
    train, dev = (load_questions("embedded", part) for part in ("train", "dev"))
    assert (train.name, dev.name) == ("embedded train", "embedded dev")
    assert train.sha256 != dev.sha256


@settings(deadline=None, max_examples=60)
@given(content=st.binary(max_size=200))
def test_random_bytes_are_parsed_or_refused(content: bytes) -> None:
    refusal(content)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_damaged_file_is_parsed_or_refused(data: st.DataObject) -> None:
    content = bytearray(json.dumps(document(), ensure_ascii=False).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(len(content) // 2, len(content)))]
    try:
        found = parse(bytes(content))
    except UserError as error:
        assert "my.json" in str(error)
    else:
        check_offsets(found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "paragraphs", "context", "qas", "answers", "question", "id"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=60)
@given(content=JSON, depth=st.integers(0, 3))
def test_any_json_value_at_any_depth_is_parsed_or_refused(content: Any, depth: int) -> None:
    if depth >= 3:
        content = document(answers=content)
    elif depth == 2:
        content = {"data": [{"paragraphs": [{"context": CONTEXT, "qas": content}]}]}
    elif depth == 1:
        content = {"data": content}
    try:
        check_offsets(parse(content))
    except UserError as error:
        assert "my.json" in str(error)


@settings(deadline=None, max_examples=60)
@given(
    context=st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters=["\0"]), min_size=1
    ),
    data=st.data(),
)
def test_any_span_of_any_unicode_passage_survives_the_file(
    context: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(context) - 1))
    stop = data.draw(st.integers(start + 1, len(context)))
    assume(context[start:stop].strip())
    answers = [{"text": context[start:stop], "answer_start": start}]
    content = document(context=context, answers=answers)
    for escaped in (True, False):
        found = parse(json.dumps(content, ensure_ascii=escaped).encode()).questions[0]
        assert found.context == context
        assert found.answers == (context[start:stop],)


def check_offsets(found: QuestionSet) -> None:
    assert found.questions
    for question in found.questions:
        for answer, start in zip(question.answers, question.starts, strict=True):
            assert answer
            assert question.context[start : start + len(answer)] == answer


FillCache = Callable[..., str]


@pytest.fixture
def fill_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FillCache]:
    """Gives `fill(rows, split)`: a hub data set in a local cache, as `datasets` lays it out."""
    datasets = pytest.importorskip("datasets", reason="without the hub extra there is no cache")
    from datasets.arrow_writer import ArrowWriter

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)

    def fill(
        rows: list[dict[str, Any]], split: str = "validation", configuration: str = "default"
    ) -> str:
        features = datasets.Dataset.from_list(rows).features
        folder = tmp_path / "acme___tiny_squad" / configuration / "0.0.0" / "0123456789abcdef"
        folder.mkdir(parents=True)
        writer = ArrowWriter(path=str(folder / f"tiny_squad-{split}.arrow"), features=features)
        for row in rows:
            writer.write(row)
        writer.finalize()
        part = {"name": split, "num_examples": len(rows), "dataset_name": "tiny_squad"}
        datasets.DatasetInfo(
            features=features,
            builder_name="tiny_squad",
            dataset_name="tiny_squad",
            config_name=configuration,
            version="0.0.0",
            splits={split: part},
        ).write_to_directory(str(folder))
        return "acme/tiny_squad"

    yield fill


def row(number: int = 0, **changes: Any) -> dict[str, Any]:
    answers = {"text": ["Anna", "by Anna"], "answer_start": [ANNA, ANNA - 3]}
    base = {"id": f"q{number}", "title": "T", "context": CONTEXT, "question": "Who?"}
    return {**base, "answers": answers, **changes}


def test_a_hub_data_set_is_read_from_its_local_cache(fill_cache: FillCache) -> None:
    unanswerable = row(1, answers={"text": [], "answer_start": []})
    source = fill_cache([row(0), unanswerable])
    found = load_questions(source, "dev")
    assert found.name == "acme/tiny_squad validation"
    assert [q.id for q in found.questions] == ["q0", "q1"]
    assert found.questions[0].answers == ("Anna", "by Anna")
    assert found.questions[0].starts == (ANNA, ANNA - 3)
    assert found.questions[0].title == "T"
    assert found.has_unanswerable
    assert found.sha256 == load_questions(source, "dev").sha256


def test_a_configuration_of_a_hub_data_set_is_named_after_a_colon(fill_cache: FillCache) -> None:
    fill_cache([row(0)], configuration="tiny.de")
    fill_cache([row(0), row(1)], configuration="tiny.fr")
    for code, count in (("de", 1), ("fr", 2)):
        found = load_questions(f"acme/tiny_squad:tiny.{code}", "dev")
        assert found.name == f"acme/tiny_squad:tiny.{code} validation"
        assert len(found.questions) == count
    with pytest.raises(UserError, match=r"acme/tiny_squad:tiny\.es.*tiny\.de.*tiny\.fr") as caught:
        load_questions("acme/tiny_squad:tiny.es", "dev")
    assert "\n" not in str(caught.value)


def test_a_hub_data_set_without_the_split_is_refused(fill_cache: FillCache) -> None:
    source = fill_cache([row()])
    with pytest.raises(UserError, match=r"acme/tiny_squad.*train"):
        load_questions(source, "train")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"answers": "Anna"}, "SQuAD's form"),
        ({"answers": {"text": ["Anna"], "answer_start": [ANNA, ANNA - 3]}}, "SQuAD's form"),
        ({"answers": {"text": ["Anna"]}}, "`answer_start`"),
        ({"answers": None}, "SQuAD's form"),
        ({"context": None}, "`context` of type str"),
        ({"context": 5}, "`context` of type str"),
        ({"question": None}, "`question` of type str"),
        ({"answers": {"text": ["Anna"], "answer_start": [0]}}, "not at its offset"),
    ],
)
def test_a_hub_data_set_out_of_form_is_refused(
    fill_cache: FillCache, changes: dict[str, Any], problem: str
) -> None:
    source = fill_cache([row(**changes)], "train")
    with pytest.raises(UserError) as caught:
        load_questions(source, "train")
    message = str(caught.value)
    assert "acme/tiny_squad" in message
    assert problem in message
    assert "\n" not in message


def test_a_hub_data_set_without_a_column_is_refused(fill_cache: FillCache) -> None:
    wrong = row()
    wrong["passage"] = wrong.pop("context")
    with pytest.raises(UserError, match=r"row 0 has no `context`.*id, title, context"):
        load_questions(fill_cache([wrong]), "dev")


def test_bad_answers_of_a_hub_data_set_can_be_left_out(fill_cache: FillCache) -> None:
    wrong = row(1, answers={"text": ["Anna"], "answer_start": [0]})
    found = load_questions(fill_cache([row(0), wrong], "train"), "train", bad_answers="skip")
    assert len(found.questions) == 1
    assert found.skipped == 1


def test_a_hub_data_set_that_is_not_cached_is_refused_in_one_line(fill_cache: FillCache) -> None:
    with pytest.raises(
        UserError, match=r"cannot load data set acme/none \(.*\): connect"
    ) as caught:
        load_questions("acme/none", "dev")
    assert "\n" not in str(caught.value)


def test_without_datasets_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match='pip install "datasets'):
        load_questions("acme/tiny_squad", "dev")
