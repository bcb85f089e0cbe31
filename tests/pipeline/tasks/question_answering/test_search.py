# SPDX-License-Identifier: Apache-2.0
"""Which windows are read, and how their scores compare."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repository import CONTRACT

from converters import sealed
from pipeline import documents
from pipeline.errors import UserError
from pipeline.tasks.question_answering.candidates import candidates
from pipeline.tasks.question_answering.described import Described
from pipeline.tasks.question_answering.evaluate import Answer, Answerer, decode
from pipeline.tasks.question_answering.features import Limits, Window, Windower
from pipeline.tasks.question_answering.search import RULES, Search, bm25, levels, shortlist
from pipeline.tasks.question_answering.settings import problems
from pipeline.tasks.question_answering.task import QuestionAnswering
from pipeline.tasks.reading import Reading

LIMITS = Limits(max_length=32, stride=12, max_query=8, max_answer=4)
DESCRIBED = {"limits": asdict(LIMITS), "lengths": {"max": 512}}
PASSAGE = "rome is old. " * 9 + "emma built the tower in oslo. " + "rome is old. " * 9


def window(pieces: int, first: int = 3) -> Window:
    ids = np.arange(first + pieces + 1, dtype=np.int32)
    offsets = np.asarray([(5 * i, 5 * i + 4) for i in range(pieces)], np.int32).reshape(-1, 2)
    return Window(ids, np.zeros_like(ids), offsets, first)


def softmax(values: Sequence[float]) -> list[float]:
    total = sum(math.exp(value) for value in values)
    return [math.exp(value) / total for value in values]


def test_a_log_probability_is_that_of_a_softmax_over_cls_and_the_passage() -> None:
    win = window(4)
    rng = np.random.default_rng(0)
    start, end = rng.normal(0, 3, (2, 8)).astype(np.float32)
    (level,) = levels("log-probability", [win], [(start, end)])
    places = [0, 3, 4, 5, 6]
    for first, last in ((3, 4), (6, 6), (0, 0)):
        p = softmax([float(start[i]) for i in places])[places.index(first)]
        q = softmax([float(end[i]) for i in places])[places.index(last)]
        score = float(start[first]) + float(end[last]) - level
        assert score == pytest.approx(math.log(p * q), abs=1e-5)
    (level,) = levels("log-odds", [win], [(start, end)])
    assert float(start[0]) + float(end[0]) - level == 0.0
    assert levels("logits", [win], [(start, end)]) == [0.0]


@settings(deadline=None, max_examples=60)
@given(data=st.data(), rule=st.sampled_from(RULES))
def test_a_number_added_to_all_logits_of_a_window_changes_nothing_but_for_plain_logits(
    data: Any, rule: Any
) -> None:
    whole = st.lists(st.integers(-4, 4), min_size=8, max_size=8)
    windows = [window(4), replace(window(4), offsets=window(8).offsets[4:])]
    logits = [tuple(np.asarray(data.draw(whole), np.float32) for _ in range(2)) for _ in windows]
    higher = [tuple(one + 100 for one in logits[0]), logits[1]]
    found, moved = (decode(windows, each, LIMITS, rule=rule) for each in (logits, higher))
    if rule == "logits":
        assert moved[0] < 20  # the first window's, whatever the other says
    else:
        assert moved[2] == pytest.approx(found[2], abs=1e-3)


def test_a_window_without_the_answer_loses_by_probability_alone() -> None:
    windows = [window(4), replace(window(4), offsets=window(8).offsets[4:])]
    empty, holds = np.zeros(8, np.float32), np.full(8, -9.0, np.float32)
    empty[0], empty[4] = 8.0, 6.0  # [CLS] wins, and its runner-up is higher than the other's best
    holds[5] = 5.0
    logits = [(empty, empty), (holds, holds)]
    assert decode(windows, logits, LIMITS)[0] == 5
    for rule in ("log-probability", "log-odds"):
        assert decode(windows, logits, LIMITS, rule=rule)[0] == 30  # type: ignore[arg-type]


def test_bm25_is_the_formula_of_its_authors() -> None:
    documents = [np.asarray(ids) for ids in ([1, 1, 2, 9], [1, 3, 9, 9, 9, 9], [9, 9])]
    query = [1, 2, 9]
    mean = 4.0
    for document, score in zip(documents, bm25(query, documents), strict=True):
        expected = 0.0
        for piece in query:
            often = int((document == piece).sum())
            holding = sum(bool((other == piece).any()) for other in documents)
            idf = math.log((3 - holding + 0.5) / (holding + 0.5) + 1)
            k = 1.2 * (1 - 0.75 + 0.75 * len(document) / mean)
            expected += idf * often * 2.2 / (often + k)
        assert score == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("most", [1, 2, 3, None, 99])
def test_the_shortlist_holds_the_windows_that_say_the_questions_words(
    tokenizer: Any, most: int | None
) -> None:
    windows = Windower(tokenizer, LIMITS).windows("who built the tower?", PASSAGE)
    kept = shortlist(windows, most)
    assert len(kept) == min(most or 99, len(windows)) and len(windows) > 4
    places = [windows.index(one) for one in kept]
    assert places == sorted(places)
    tower = tokenizer.convert_tokens_to_ids("tower")
    assert any(tower in one.ids[one.first : one.stop] for one in kept)


def test_of_equal_windows_the_earlier_ones_are_kept(tokenizer: Any) -> None:
    windows = Windower(tokenizer, LIMITS).windows("xyz", "rome is old. " * 20)
    assert shortlist(windows, 2) == windows[:2]
    assert shortlist(Windower(tokenizer, LIMITS).windows("xyz", ""), 1)


class Pointer:
    """A model that points at a piece by its id; it counts its runs and how many run at a time."""

    def __init__(self, target: int, gate: threading.Barrier | None = None) -> None:
        self.target, self.gate, self.runs = target, gate, 0

    def run(self, ids: np.ndarray, mask: np.ndarray, segment_ids: np.ndarray) -> Any:
        self.runs += 1
        if self.gate is not None:
            self.gate.wait(timeout=10)  # only two windows at a time pass
        logits = np.where(ids[0] == self.target, 5.0, 0.0).astype(np.float32)
        return logits, logits


def test_a_shortlist_finds_the_answer_in_fewer_runs(tokenizer: Any) -> None:
    target = tokenizer.convert_tokens_to_ids("emma")
    for rule in RULES:
        answers = []
        for most in (None, 1):
            model = Pointer(target)
            answerer = Answerer(model, tokenizer, LIMITS, search=Search(rule, most))
            reading = answerer.run("who built the tower?", PASSAGE)
            answers.append(reading.prediction)
            assert model.runs == reading.prediction.windows == (most or len(reading.inputs))
            best = candidates(answerer, reading, PASSAGE)[0]
            assert (best.answer, best.score) == ("emma", reading.prediction.score)
        assert [one.text for one in answers] == ["emma", "emma"]


def test_windows_in_parallel_give_what_one_after_the_other_gives(tokenizer: Any) -> None:
    target = tokenizer.convert_tokens_to_ids("emma")
    alone = Answerer(Pointer(target), tokenizer, LIMITS).run("who?", PASSAGE)
    if len(alone.inputs) % 2:
        pytest.fail("the barrier needs an even number of windows")
    gate = threading.Barrier(2)
    models = [Pointer(target, gate) for _ in range(2)]
    both = Answerer(models[0], tokenizer, LIMITS, more=models[1:]).run("who?", PASSAGE)
    assert sum(model.runs for model in models) == len(both.inputs)
    for one, other in zip(alone.outputs, both.outputs, strict=True):
        assert all(map(np.array_equal, one, other))
    assert alone.prediction == both.prediction


def test_a_build_says_how_windows_are_searched_where_that_is_not_the_default(
    tokenizer: Any,
) -> None:
    task = QuestionAnswering()
    plain = task.settings().data
    traits = {"may_abstain": False}
    assert "search" not in task.describe(plain, traits)
    assert task.reading(plain) == plain.limits
    own = replace(plain, read_stride=256, compare_windows="log-odds", max_windows=2)
    document = task.describe(own, traits)
    assert document["limits"]["stride"] == 256 and own.limits.stride == 128
    assert document["search"] == {"rule": "log-odds", "max_windows": 2}
    assert task.reading(own) != task.reading(replace(own, max_windows=3))
    described = Described.of({**DESCRIBED, **document}, tokenizer, Path("model.json"))
    assert described.search == Search("log-odds", 2)
    assert task.reader(Pointer(1), tokenizer, own, traits).search == Search("log-odds", 2)
    assert list(problems(replace(plain, read_stride=400)))
    build = replace(task.settings(), data=own)
    assert not list(task.problems(replace(build, android_assets=Path("app"))))
    # An app that knows no search refuses the schema, and answers nothing in another way.
    assert documents.model_schema(document) == documents.SEARCH_SCHEMA == 4
    assert documents.model_schema(task.describe(plain, traits)) == documents.MODEL_SCHEMA == 3


@pytest.mark.parametrize(
    "search", [{"rule": "luck"}, {"max_windows": 0}, {"max_windows": True}, {"other": 1}, 3]
)
def test_a_search_that_is_not_understood_is_refused(tokenizer: Any, search: Any) -> None:
    document = {**DESCRIBED, "may_abstain": False, "search": search}
    with pytest.raises(UserError, match=r"model\.json: search"):
        Described.of(document, tokenizer, Path("model.json"))


@pytest.mark.parametrize(("schema", "search"), [(3, True), (4, False), (4, True), (3, False)])
def test_the_schema_of_a_description_says_whether_it_has_a_search(
    tmp_path: Path, schema: int, search: bool
) -> None:
    document = json.loads((CONTRACT / "tiny" / "model.json").read_text(encoding="utf-8"))
    document |= {"schema_version": schema}
    document |= {"search": {"rule": "logits", "max_windows": 2}} if search else {}
    path = sealed.write(tmp_path / "model.json", document)
    if search == (schema == documents.SEARCH_SCHEMA):
        assert documents.model(path)["schema_version"] == schema
    else:
        with pytest.raises(UserError, match="schema_version is 4 where there is a search, and"):
            documents.model(path)


def test_a_window_with_a_score_that_is_no_number_has_no_candidates(tokenizer: Any) -> None:
    odd, plain = np.full(8, np.nan, np.float32), np.zeros(8, np.float32)
    odd[3:5] = 1.0
    windows = [window(4), replace(window(4), offsets=window(8).offsets[4:])]
    logits = [(odd, odd), (plain, plain)]
    answerer = Answerer(Pointer(1), tokenizer, LIMITS, may_abstain=True, null_threshold=-9.0)
    start, end, score = decode(windows, logits, LIMITS, may_abstain=True, null_threshold=9.0)
    assert (start, end, score) == (20, 24, 0.0)
    answer = Answer("x", start, end, score)
    found = candidates(answerer, Reading(windows, logits, answer), "x" * 40)
    assert all(one.start >= 20 for one in found if one.answer)
    assert sum(one.probability for one in found) == pytest.approx(1.0)
