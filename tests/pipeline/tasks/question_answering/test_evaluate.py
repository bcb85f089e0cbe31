# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import collections
import re
import string
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.measure.upgrade import FORMER_METRICS
from pipeline.tasks import reading as reading_room
from pipeline.tasks.question_answering import evaluate
from pipeline.tasks.question_answering.evaluate import (
    METRICS,
    Answerer,
    Span,
    best_span,
    score,
)
from pipeline.tasks.question_answering.features import Limits, Window
from pipeline.tasks.question_answering.squad import Question, QuestionSet

MANY = 1000  # so many starts and ends are considered that none is left out


def window(pieces: int, first: int = 3) -> Window:
    ids = np.arange(first + pieces + 1, dtype=np.int32)
    offsets = np.asarray([(5 * i, 5 * i + 4) for i in range(pieces)], np.int32).reshape(-1, 2)
    return Window(ids, np.zeros_like(ids), offsets, first)


def highest(logits: np.ndarray, positions: Iterable[int], count: int) -> set[int]:
    return set(sorted(positions, key=lambda p: (-logits[p], p))[:count])


def brute_force(start: np.ndarray, end: np.ndarray, win: Window, limits: Limits) -> Span | None:
    positions = range(win.first, win.stop if win.first > 2 else 0)  # 2: there is no question
    starts = highest(start, positions, limits.n_best)
    ends = highest(end, positions, limits.n_best)
    spans = [
        Span(s, e, float(start[s] + end[e]))
        for s in positions
        for e in positions
        if s in starts and e in ends and s <= e < s + limits.max_answer
    ]
    return min(spans, key=lambda x: (-x.score, x.start, x.end)) if spans else None


@settings(deadline=None, max_examples=150)
@given(
    pieces=st.integers(0, 12),
    first=st.integers(2, 5),
    max_answer=st.integers(1, 6),
    n_best=st.sampled_from([1, 2, 3, MANY]),
    data=st.data(),
)
def test_the_best_span_is_that_of_a_brute_force_search(
    pieces: int, first: int, max_answer: int, n_best: int, data: Any
) -> None:
    win = window(pieces, first)
    # Whole numbers in a small range: ties are common.
    logits = st.lists(st.integers(-3, 3), min_size=len(win.ids), max_size=len(win.ids))
    start, end = (np.asarray(data.draw(logits), np.float32) for _ in range(2))
    limits = Limits(max_answer=max_answer, n_best=n_best)
    assert best_span(start, end, win, limits) == brute_force(start, end, win, limits)


def test_spans_outside_the_passage_never_win() -> None:
    win = window(4, first=3)
    start, end = np.zeros(8, np.float32), np.zeros(8, np.float32)
    start[[0, 1, 2, 7]] = end[[0, 1, 2, 7]] = 99.0  # [CLS], question, both [SEP]
    start[4], end[5] = 1.0, 2.0
    assert best_span(start, end, win, Limits()) == Span(4, 5, 3.0)


def test_the_end_is_not_before_the_start_nor_too_far_behind() -> None:
    win = window(6, first=3)
    start, end = np.zeros(10, np.float32), np.zeros(10, np.float32)
    start[7], end[4] = 9.0, 9.0  # the two best, the wrong way round
    assert best_span(start, end, win, Limits()) == Span(3, 4, 9.0)
    start, end = np.zeros(10, np.float32), np.zeros(10, np.float32)
    start[3], end[8] = 9.0, 8.0  # six pieces
    assert best_span(start, end, win, Limits(max_answer=6)) == Span(3, 8, 17.0)
    assert best_span(start, end, win, Limits(max_answer=5)) == Span(3, 3, 9.0)


def test_without_a_pair_in_order_there_is_no_span() -> None:
    win = window(3, first=3)
    start = np.asarray([0, 0, 0, 0, 0, 5, 0], np.float32)
    end = np.asarray([0, 0, 0, 5, 0, 0, 0], np.float32)
    assert best_span(start, end, win, Limits(n_best=1)) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_give_no_span(bad: float) -> None:
    win = window(3)
    logits = np.full(7, bad, np.float32)
    assert best_span(logits, logits, win, Limits()) is None


class Pointer:
    """A model that points at one word piece, by its id, and at [CLS]; it remembers its inputs."""

    def __init__(self, target: int, height: float = 5.0, cls: float = 0.0) -> None:
        self.target, self.height, self.cls = target, height, cls
        self.seen: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def run(
        self, ids: np.ndarray, mask: np.ndarray, segment_ids: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        self.seen.append((ids, mask, segment_ids))
        found = np.where(ids[0] == self.target, self.height, 0.0).astype(np.float32)
        found[0] = self.cls / 2
        found[mask[0] == 0] = 1000.0  # padding must not count, whatever its logits
        return found, found


def test_the_answer_is_cut_from_the_passage_by_code_points(tokenizer: Any) -> None:
    model = Pointer(tokenizer.convert_tokens_to_ids("paris"))
    answer = Answerer(model, tokenizer, Limits()).answer("where?", "😀😀 The ship of PARIS, 1850")
    assert (answer.text, answer.start, answer.end) == ("PARIS", 15, 20)
    assert answer.score == 10.0
    assert answer.windows == 1


def test_an_answer_brings_its_windows_its_logits_and_the_time_of_each_phase(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gates, golden cases and comparisons read all of them from the one run of a question."""
    model = Pointer(tokenizer.convert_tokens_to_ids("anna"))
    answerer = Answerer(model, tokenizer, Limits(max_length=20, stride=6, max_query=4), pad_to=24)
    context = "rome " * 30 + "anna " + "rome " * 9
    clock = iter((1.0, 1.25, 2.25, 2.75))
    monkeypatch.setattr(reading_room.time, "perf_counter", lambda: next(clock))
    reading = answerer.run("who?", context)
    answer = reading.prediction
    assert (reading.tokenize_ms, reading.infer_ms, reading.decode_ms) == (250.0, 1000.0, 500.0)
    assert answer.text == "anna" and answer.windows == len(reading.inputs) == len(model.seen) > 1
    for window, pair in zip(reading.inputs, reading.outputs, strict=True):
        assert all(logits.shape == window.ids.shape for logits in pair), "padding is cut off"
    found = evaluate.decode(reading.inputs, reading.outputs, answerer.limits)
    assert found[:2] == (answer.start, answer.end)


@pytest.mark.parametrize(("reuse", "times"), [(True, 1), (False, 2)])
def test_a_passage_is_cut_anew_where_each_shall_be_timed(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch, reuse: bool, times: int
) -> None:
    answerer = Answerer(Pointer(0), tokenizer, Limits(), reuse=reuse)
    cut, seen = answerer.windower.pieces, []

    def pieces(text: str) -> Any:
        seen.append(text)
        return cut(text)

    monkeypatch.setattr(answerer.windower, "pieces", pieces)
    first, second = (answerer.run(question, "the ship") for question in ("who?", "what?"))
    assert seen.count("the ship") == times
    assert (first.inputs[0].offsets == second.inputs[0].offsets).all()


def test_the_answer_may_stand_in_any_window(tokenizer: Any) -> None:
    context = "rome " * 40 + "anna " + "rome " * 20
    model = Pointer(tokenizer.convert_tokens_to_ids("anna"))
    limits = Limits(max_length=24, stride=10, max_query=8)
    answer = Answerer(model, tokenizer, limits).answer("who?", context)
    assert (answer.text, answer.start) == ("anna", 200)
    # 61 pieces in windows of 24 - 5 = 19 that start every 10: 1 + ceil((61 - 19) / 10)
    assert answer.windows == len(model.seen) == 6


def test_of_equal_spans_in_several_windows_the_first_counts(tokenizer: Any) -> None:
    model = Pointer(-1)
    limits = Limits(max_length=24, stride=10, max_query=8)
    answer = Answerer(model, tokenizer, limits).answer("who?", "rome " * 40)
    assert (answer.start, answer.end) == (0, 4)


def test_inputs_are_int32_rows_and_padding_is_cut_off_again(tokenizer: Any) -> None:
    target = tokenizer.convert_tokens_to_ids("oslo")
    plain, padded = Pointer(target), Pointer(target)
    question, context = "where?", "anna of oslo"
    limits = Limits(max_length=32, stride=8, max_query=8)
    expected = Answerer(plain, tokenizer, limits).answer(question, context)
    found = Answerer(padded, tokenizer, limits, pad_to=32).answer(question, context)
    assert (found.text, found.score) == (expected.text, expected.score) == ("oslo", 10.0)
    (short,), (long,) = plain.seen, padded.seen
    length = short[0].shape[1]
    for array in (*short, *long):
        assert array.dtype == np.int32
    assert [a.shape for a in long] == [(1, 32)] * 3
    for bare, full, filling in zip(short, long, (tokenizer.pad_token_id, 0, 0), strict=True):
        assert full[0, :length].tolist() == bare[0].tolist()
        assert set(full[0, length:].tolist()) == {filling}
    assert short[1].tolist() == [[1] * length]


@pytest.mark.parametrize("context", ["", "   ", "\n"])
def test_an_empty_passage_has_no_answer(tokenizer: Any, context: str) -> None:
    for may_abstain in (False, True):
        answerer = Answerer(Pointer(0), tokenizer, Limits(), may_abstain=may_abstain)
        answer = answerer.answer("who?", context)
        assert (answer.text, answer.start, answer.end, answer.windows) == ("", 0, 0, 1)


def test_only_squad_2_may_abstain_and_only_where_cls_is_not_lower(tokenizer: Any) -> None:
    target = tokenizer.convert_tokens_to_ids("oslo")

    def answer(cls: float, may_abstain: bool) -> tuple[str, float]:
        model = Pointer(target, cls=cls)
        answerer = Answerer(model, tokenizer, Limits(), may_abstain=may_abstain)
        found = answerer.answer("where?", "anna of oslo")
        return found.text, found.score

    assert answer(cls=12.0, may_abstain=False) == ("oslo", 10.0)
    assert answer(cls=9.0, may_abstain=True) == ("oslo", 10.0)
    assert answer(cls=10.0, may_abstain=True) == ("", 10.0)
    assert answer(cls=12.0, may_abstain=True) == ("", 12.0)


def test_the_lowest_cls_of_all_windows_decides() -> None:
    # As in the reference evaluation of SQuAD 2.0: one window sure of an answer is enough.
    start = np.asarray([8, 0, 0, 3, 0, 0], np.float32)
    sure, unsure = start.copy(), start
    sure[0] = 1
    windows = [window(2, 3), window(2, 3)]
    logits = [(unsure, unsure), (sure, sure)]
    begin, end, found = evaluate.decode(windows, logits, Limits(), may_abstain=True)
    assert (begin, end, found) == (0, 4, 6.0)
    none = evaluate.decode(windows, [(unsure, unsure)] * 2, Limits(), may_abstain=True)
    assert none == (0, 0, 16.0)


def normalized(text: str) -> str:
    """The rules of SQuAD's evaluation: case, punctuation, articles, space do not count."""
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def official_f1(answer: str, gold: str) -> float:
    ours, theirs = normalized(answer).split(), normalized(gold).split()
    same = sum((collections.Counter(ours) & collections.Counter(theirs)).values())
    if not ours or not theirs:
        return float(ours == theirs)
    return 0.0 if same == 0 else 2 * same / (len(ours) + len(theirs))


def asked(*answers: tuple[str, ...]) -> QuestionSet:
    questions = [
        Question(f"q{i}", "", " ".join(golds), f"{i}?", golds, (0,) * len(golds))
        for i, golds in enumerate(answers)
    ]
    return QuestionSet("set", "0", tuple(questions))


ANSWER = st.lists(
    st.sampled_from(["Anna", "anna", "the", "a", "Rome,", "1850", "Smith-Jones", "--", "of"]),
    max_size=5,
).map(" ".join)


@settings(deadline=None, max_examples=60)
@given(
    cases=st.lists(
        st.tuples(ANSWER, st.lists(ANSWER, min_size=1, max_size=3)), min_size=1, max_size=5
    )
)
def test_scores_follow_the_official_rules(cases: list[tuple[str, list[str]]]) -> None:
    found = score([answer for answer, _ in cases], asked(*(tuple(golds) for _, golds in cases)))
    exact = [max(normalized(a) == normalized(g) for g in golds) for a, golds in cases]
    f1 = [max(official_f1(a, g) for g in golds) for a, golds in cases]
    # torchmetrics sums in float32
    assert found["exact_match"] == pytest.approx(100 * sum(exact) / len(cases), rel=1e-5)
    assert found["f1"] == pytest.approx(100 * sum(f1) / len(cases), rel=1e-5)


def test_scores_worked_out_by_hand() -> None:
    questions = asked(("Anna Smith",), ("the tower", "tower of Rome"), ("1850",), ("by Boris",))
    found = score(["anna", "Tower!", "1851", "by Boris"], questions)
    # anna: 1 of 1 and 1 of 2 words, F1 2/3; tower: whole, without its article; 1851: nothing.
    assert found["exact_match"] == pytest.approx(100 * 2 / 4)
    assert found["f1"] == pytest.approx(100 * (2 / 3 + 1 + 0 + 1) / 4)


def test_unanswerable_questions_want_the_empty_answer() -> None:
    questions = asked((), ())
    found = score(["", "Anna"], questions)
    assert (found["exact_match"], found["f1"]) == (50.0, 50.0)


def test_as_many_answers_as_questions_are_needed() -> None:
    with pytest.raises(ValueError, match="argument"):
        score(["Anna"], asked(("Anna",), ("Rome",)))


def test_scores_come_in_the_order_of_the_metrics() -> None:
    assert list(score(["Anna"], asked(("Anna",)))) == [metric["name"] for metric in METRICS]


def test_documents_of_older_schemas_have_the_same_metrics() -> None:
    assert list(FORMER_METRICS) == METRICS
