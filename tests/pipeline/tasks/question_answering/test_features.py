# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.tasks.question_answering.features import (
    Limits,
    Window,
    Windower,
    locate,
    training_features,
)
from pipeline.tasks.question_answering.squad import Question

WORDS = ("the", "tower", "of", "rome", "anna", "playing", "unable", "xyz", "1850", ",", "é")
TEXT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=80).map(" ".join)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
# Words with characters at their ends that have no piece.
MARKED = ("rome", "malmo\u0308", "\u2764\ufe0f", "hof\u200b", "\u0301anna", "\u200b", "\u0301")
MARKED_TEXT = st.lists(st.sampled_from(MARKED), min_size=1, max_size=40).map(" ".join)
slow_fixture = settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def reference(tiny_teacher: Path) -> Any:
    """A second tokenizer: transformers leaves its truncation switched on behind a call."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_teacher)


def asked(context: str, answer: str | None, question: str = "who?") -> Question:
    if answer is None:
        return Question("q", "", context, question, (), ())
    return Question("q", "", context, question, (answer,), (context.index(answer),))


def extent(window: Window, start: int, end: int) -> tuple[int, int]:
    """First and past-the-last code point of the pieces at positions start to end."""
    return (
        int(window.offsets[start - window.first, 0]),
        int(window.offsets[end - window.first, 1]),
    )


@settings(deadline=None, max_examples=60)
@given(
    question=st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join),
    context=TEXT,
    max_length=st.integers(32, 70),
    data=st.data(),
)
def test_windows_are_those_of_transformers(
    tokenizer: Any, reference: Any, question: str, context: str, max_length: int, data: Any
) -> None:
    max_query = 16
    stride = data.draw(st.integers(1, max_length - max_query - 3))
    windower = Windower(tokenizer, Limits(max_length, stride, max_query))
    query = len(windower.pieces(question)[0])
    assume(query <= max_query)
    expected = reference(
        question,
        context,
        truncation="only_second",
        max_length=max_length,
        stride=max_length - query - 3 - stride,  # transformers counts the overlap
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    windows = windower.windows(question, context)
    assert [w.ids.tolist() for w in windows] == expected["input_ids"]
    assert [w.segment_ids.tolist() for w in windows] == expected["token_type_ids"]
    for i, window in enumerate(windows):
        passage = [
            offset
            for offset, sequence in zip(
                expected["offset_mapping"][i], expected.sequence_ids(i), strict=True
            )
            if sequence == 1
        ]
        assert [tuple(offset) for offset in window.offsets.tolist()] == passage
        assert window.first == query + 2
        assert window.stop == len(window.ids) - 1


@settings(deadline=None, max_examples=50)
@given(question=ANY_TEXT, context=ANY_TEXT, stride=st.integers(1, 9))
def test_windows_of_any_text_hold_every_piece_and_fit(
    tokenizer: Any, question: str, context: str, stride: int
) -> None:
    windower = Windower(tokenizer, Limits(max_length=20, stride=stride, max_query=8))
    ids, offsets = windower.pieces(context)
    assert len(ids) == len(offsets)
    assert (offsets >= 0).all()
    assert (offsets <= len(context)).all()
    covered = set()
    for i, window in enumerate(windower.windows(question, context)):
        begin = i * stride
        assert len(window.ids) <= 20
        assert window.ids.dtype == window.segment_ids.dtype == window.offsets.dtype == np.int32
        assert window.ids[0] == tokenizer.cls_token_id
        assert window.ids[window.first - 1] == window.ids[-1] == tokenizer.sep_token_id
        assert window.segment_ids.tolist() == [0] * window.first + [1] * (
            len(window.ids) - window.first
        )
        body = window.ids[window.first : window.stop]
        assert body.tolist() == ids[begin : begin + len(body)].tolist()
        assert window.offsets.tolist() == offsets[begin : begin + len(body)].tolist()
        covered |= set(range(begin, begin + len(body)))
    assert covered == set(range(len(ids)))


def test_a_long_question_is_cut(tokenizer: Any) -> None:
    windower = Windower(tokenizer, Limits(max_length=32, stride=8, max_query=5))
    (window,) = windower.windows("anna " * 40, "rome")
    anna, rome = tokenizer.convert_tokens_to_ids(["anna", "rome"])
    cls_id, sep_id = tokenizer.cls_token_id, tokenizer.sep_token_id
    assert window.ids.tolist() == [cls_id, *[anna] * 5, sep_id, rome, sep_id]


def test_empty_texts_give_one_window_without_pieces(tokenizer: Any) -> None:
    (window,) = Windower(tokenizer, Limits()).windows("", "")
    assert window.ids.tolist() == [
        tokenizer.cls_token_id,
        tokenizer.sep_token_id,
        tokenizer.sep_token_id,
    ]
    assert window.offsets.shape == (0, 2)
    assert window.first == window.stop == 2
    assert locate(window, 0, 5) == (0, 0)


def test_a_passage_that_just_fits_is_one_window_and_one_piece_more_makes_two(
    tokenizer: Any,
) -> None:
    windower = Windower(tokenizer, Limits(max_length=20, stride=6, max_query=4))
    # [CLS] who ? [SEP] ... [SEP] leaves 15 of the 20.
    assert len(windower.windows("who?", "rome " * 15)) == 1
    first, second = windower.windows("who?", "rome " * 16)
    assert (len(first.ids), len(second.ids)) == (20, 15)  # 16 - 6 pieces and the same 5


def test_offsets_count_code_points(tokenizer: Any) -> None:
    _, offsets = Windower(tokenizer, Limits()).pieces("😀 rome É paris")
    assert offsets.tolist() == [[0, 1], [2, 6], [7, 8], [9, 14]]


def test_cased_and_accented_words_keep_their_place(tokenizer: Any) -> None:
    context = "ROME, Oslo"
    (window,) = Windower(tokenizer, Limits()).windows("", context)
    start, end = locate(window, 6, 10)
    assert extent(window, start, end) == (6, 10)
    assert window.ids[start] == tokenizer.convert_tokens_to_ids("oslo")


@pytest.mark.parametrize("stride", [0, -1, 14, 500])
def test_a_stride_that_skips_pieces_is_refused(tokenizer: Any, stride: int) -> None:
    # 32 less a question of up to 16 and three special tokens leaves 13.
    with pytest.raises(UserError, match=f"stride {stride} .*32.*16.*allowed are 1 to 13"):
        Windower(tokenizer, Limits(max_length=32, stride=stride, max_query=16))
    Windower(tokenizer, Limits(max_length=32, stride=13, max_query=16))


@slow_fixture
@given(context=ANY_TEXT, data=st.data())
def test_locate_gives_the_pieces_a_brute_force_search_gives(
    tokenizer: Any, context: str, data: Any
) -> None:
    (window,) = Windower(tokenizer, Limits(512)).windows("who?", context)
    start = data.draw(st.integers(0, len(context)))
    stop = data.draw(st.integers(start, len(context)))
    touched = [
        i for i, (a, b) in enumerate(window.offsets.tolist()) if a < stop and b > start and a < b
    ]
    found = locate(window, start, stop)
    if touched and start >= window.offsets[0, 0] and stop <= window.offsets[-1, 1]:
        assert found == (window.first + touched[0], window.first + touched[-1])
    else:
        assert found == (0, 0)


@slow_fixture
@given(context=ANY_TEXT, data=st.data())
def test_located_answers_decode_to_the_answer_and_its_pieces_alone(
    tokenizer: Any, context: str, data: Any
) -> None:
    (window,) = Windower(tokenizer, Limits(512)).windows("who?", context)
    spans = window.offsets.tolist()
    assume(spans)
    first = data.draw(st.integers(0, len(spans) - 1))
    last = data.draw(st.integers(first, len(spans) - 1))
    start = data.draw(st.integers(spans[first][0], spans[first][1] - 1))
    stop = data.draw(st.integers(max(start, spans[last][0]) + 1, spans[last][1]))
    begin, end = extent(window, *locate(window, start, stop))
    assert context[start:stop] in context[begin:end]
    assert (begin, end) == (spans[first][0], spans[last][1])


@slow_fixture
@given(
    words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=60),
    stride=st.integers(1, 9),
    data=st.data(),
)
def test_exactly_the_windows_with_the_whole_answer_are_labelled(
    tokenizer: Any, words: list[str], stride: int, data: Any
) -> None:
    windower = Windower(tokenizer, Limits(max_length=20, stride=stride, max_query=8))
    context = " ".join(words)
    _, offsets = windower.pieces(context)
    first = data.draw(st.integers(0, len(offsets) - 1))
    last = data.draw(st.integers(first, min(first + 4, len(offsets) - 1)))
    start, stop = int(offsets[first, 0]), int(offsets[last, 1])
    question = Question("q", "", context, "who?", (context[start:stop],), (start,))
    features = training_features(windower, [question])
    assert len(features) == len(windower.windows("who?", context))
    for i, feature in enumerate(features):
        begin, pieces = i * stride, len(feature.window.offsets)
        assert feature.length == len(feature.window.ids)
        if begin <= first and last < begin + pieces:
            shift = feature.window.first - begin
            assert (feature.start, feature.end) == (first + shift, last + shift)
            assert extent(feature.window, feature.start, feature.end) == (start, stop)
        else:
            assert (feature.start, feature.end) == (0, 0)


def test_an_answer_within_a_word_takes_the_pieces_it_touches(tokenizer: Any) -> None:
    # "playing" is play ##ing: the answer "lay" lies in the first piece, "yi" in both.
    (window,) = Windower(tokenizer, Limits()).windows("", "anna playing")
    assert len(window.offsets) == 3
    assert locate(window, 6, 9) == (window.first + 1, window.first + 1)
    assert locate(window, 8, 10) == (window.first + 1, window.first + 2)


def test_an_answer_of_white_space_has_no_place(tokenizer: Any) -> None:
    (window,) = Windower(tokenizer, Limits()).windows("", "anna   rome")
    assert locate(window, 5, 6) == (0, 0)


def test_white_space_around_an_answer_is_left_out(tokenizer: Any) -> None:
    # Before the passage's first piece and after its last one, too.
    for answer, pieces in (("  anna ", (0, 0)), (" rome  ", (2, 2)), ("  anna of rome  ", (0, 2))):
        context = "  anna of rome  "
        question = Question("q", "", context, "who?", (answer,), (context.index(answer),))
        (feature,) = training_features(Windower(tokenizer, Limits()), [question])
        first = feature.window.first
        assert (feature.start - first, feature.end - first) == pieces


@pytest.mark.parametrize(
    ("context", "answer", "pieces"),
    [
        ("rome of malmo\u0308", "malmo\u0308", "malmo"),
        ("anna \u2764\ufe0f", "\u2764\ufe0f", "\u2764"),
        ("tower of rome\u200b", "rome\u200b", "rome"),
        ("\u0301anna of rome", "\u0301anna", "anna"),
    ],
)
def test_characters_without_a_piece_do_not_hide_an_answer(
    tokenizer: Any, context: str, answer: str, pieces: str
) -> None:
    question = asked(context, answer)
    (feature,) = training_features(Windower(tokenizer, Limits()), [question])
    begin, end = extent(feature.window, feature.start, feature.end)
    assert context[begin:end] == pieces


@slow_fixture
@given(context=ANY_TEXT | MARKED_TEXT, stride=st.integers(1, 9), data=st.data())
def test_a_window_with_every_piece_of_an_answer_is_labelled(
    tokenizer: Any, context: str, stride: int, data: Any
) -> None:
    """Against a search for the pieces that the answer touches, whatever is at its ends."""
    windower = Windower(tokenizer, Limits(max_length=20, stride=stride, max_query=8))
    _, offsets = windower.pieces(context)
    start = data.draw(st.integers(0, len(context)))
    stop = data.draw(st.integers(start, len(context)))
    touched = [i for i, (a, b) in enumerate(offsets.tolist()) if a < stop and b > start and a < b]
    assume(touched)
    question = Question("q", "", context, "who?", (context[start:stop],), (start,))
    windows = windower.windows("who?", context)
    held = [
        i * stride <= touched[0] and touched[-1] < i * stride + len(window.offsets)
        for i, window in enumerate(windows)
    ]
    assume(any(held))
    for i, feature in enumerate(training_features(windower, [question])):
        shift = feature.window.first - i * stride
        expected = (touched[0] + shift, touched[-1] + shift) if held[i] else (0, 0)
        assert (feature.start, feature.end) == expected


def test_the_first_of_several_answers_counts(tokenizer: Any) -> None:
    question = Question("q", "", "anna of rome", "who?", ("rome", "anna"), (8, 0))
    (feature,) = training_features(Windower(tokenizer, Limits()), [question])
    assert feature.start == feature.end == feature.window.first + 2


def test_unanswerable_questions_point_at_cls(tokenizer: Any) -> None:
    questions = [asked("anna of rome", "anna"), asked("paris", None)]
    answerable, unanswerable = training_features(Windower(tokenizer, Limits()), questions)
    assert answerable.start > 0
    assert (unanswerable.start, unanswerable.end) == (0, 0)


def test_questions_without_any_answer_in_a_window_are_refused(tokenizer: Any) -> None:
    windower = Windower(tokenizer, Limits(max_length=20, stride=8, max_query=8))
    too_long = " ".join(["anna"] * 30)
    with pytest.raises(UserError, match=r"none of the 2 .* 20 pieces.*--max-length"):
        training_features(windower, [asked(too_long, too_long), asked("rome", None)])


def test_features_follow_the_order_of_questions_and_windows(tokenizer: Any) -> None:
    windower = Windower(tokenizer, Limits(max_length=20, stride=8, max_query=8))
    texts = ["anna " + "rome " * 30, "oslo by boris"]
    questions = [asked(texts[0], "anna"), asked(texts[1], "boris", "when?")]
    features = training_features(windower, questions)
    expected = [window for q in questions for window in windower.windows(q.text, q.context)]
    assert [f.window.ids.tolist() for f in features] == [w.ids.tolist() for w in expected]
    assert features[0].start == features[0].window.first
    assert all(f.start == 0 for f in features[1:-1])
    assert features[-1].start == features[-1].window.first + 2
