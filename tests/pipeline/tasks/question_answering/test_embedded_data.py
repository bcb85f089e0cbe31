# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from repository import ROOT

FOLDER = ROOT / "pipeline" / "tasks" / "question_answering" / "embedded"
PARTS = ("train", "dev")
WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
SENTENCE = re.compile(r"[^.!?]+[.!?]*")
GRAM = 8  # words; two texts rarely share so many by chance

NUMBERS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred
thousand million half dozen twice
"""
SMALL = {"a", "an", "the", "of", "and", "de", "at", "in"}
# These carry no content: a paraphrase shares them too.
STOP = """
a about after an and are as at be been before being but by can could did do does for from had has
have he her his how if in into is it its many much no not of on one or she so than that the their
them then these they this those to was were what when where which while who whom whose why will
with would
"""
QUESTION_WORDS = ("what", "which", "who", "whom", "whose", "when", "where", "why", "how")


@dataclass(frozen=True)
class Asked:
    context: str
    question: str
    answers: tuple[str, ...]
    starts: tuple[int, ...]


@cache
def articles(part: str) -> list[dict[str, Any]]:
    content = json.loads((FOLDER / f"{part}.json").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = content["data"]
    return found


@cache
def passages(part: str) -> list[str]:
    return [p["context"] for article in articles(part) for p in article["paragraphs"]]


@cache
def asked(part: str) -> list[Asked]:
    return [
        Asked(
            p["context"],
            qa["question"],
            tuple(a["text"] for a in qa["answers"]),
            tuple(a["answer_start"] for a in qa["answers"]),
        )
        for article in articles(part)
        for p in article["paragraphs"]
        for qa in p["qas"]
    ]


def words(text: str) -> list[str]:
    return [word.lower() for word in WORD.findall(text)]


def grams(text: str) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[i : i + GRAM]) for i in range(len(found) - GRAM + 1)}


def content_stems(text: str) -> set[str]:
    # Five letters: "dig", "digs", "digging" stay apart, "rodent" and "rodents" do not.
    return {re.split(r"['\u2019]", word)[0][:5] for word in words(text) if word not in STOP.split()}


def kind(answer: str) -> str:
    found = WORD.findall(answer)
    if any(c.isdigit() for c in answer) or any(w.lower() in NUMBERS.split() for w in found[:2]):
        return "number"
    named = [w for w in found if w.lower() not in SMALL]
    return "name" if named and all(w[0].isupper() for w in named) else "other"


def overlap(item: Asked) -> float:
    start = item.starts[0]
    sentence = next(m[0] for m in SENTENCE.finditer(item.context) if m.start() <= start < m.end())
    stems = content_stems(item.question)
    return len(stems & content_stems(sentence)) / max(1, len(stems))


def test_the_set_is_large_enough() -> None:
    assert len(passages("train")) + len(passages("dev")) >= 160
    assert len(asked("train")) + len(asked("dev")) >= 1300
    assert len(passages("dev")) >= 30
    assert len(asked("dev")) >= 240


@pytest.mark.parametrize(("part", "most"), [("train", 340), ("dev", 150)])
def test_passages_have_at_least_80_words_and_fit_a_window(part: str, most: int) -> None:
    lengths = [len(passage.split()) for passage in passages(part)]
    assert min(lengths) >= 80
    assert max(lengths) <= most


@pytest.mark.parametrize("part", PARTS)
def test_every_passage_has_several_questions(part: str) -> None:
    counts = Counter(item.context for item in asked(part))
    assert set(counts) == set(passages(part))
    assert min(counts.values()) >= 5


@pytest.mark.parametrize("part", PARTS)
def test_every_answer_stands_at_its_offset(part: str) -> None:
    for item in asked(part):
        assert item.answers
        for answer, start in zip(item.answers, item.starts, strict=True):
            assert start >= 0
            assert item.context[start : start + len(answer)] == answer


@pytest.mark.parametrize("part", PARTS)
def test_answers_start_and_end_on_word_boundaries(part: str) -> None:
    for item in asked(part):
        for answer, start in zip(item.answers, item.starts, strict=True):
            assert answer == answer.strip()
            assert WORD.search(answer)
            stop = start + len(answer)
            for edge in (start, stop):  # no letter or digit on both sides
                assert not re.fullmatch(r"[^\W_]{2}", item.context[max(edge - 1, 0) : edge + 1]), (
                    item
                )
            assert answer[-1] not in ",;:.", item


@pytest.mark.parametrize("part", PARTS)
def test_answers_are_short(part: str) -> None:
    lengths = [len(answer.split()) for item in asked(part) for answer in item.answers]
    assert max(lengths) <= 12
    first = sorted(len(item.answers[0].split()) for item in asked(part))
    assert first[len(first) // 2] <= 3


def test_no_two_passages_or_titles_are_the_same() -> None:
    everything = passages("train") + passages("dev")
    assert len({" ".join(words(p)) for p in everything}) == len(everything)
    titles = [article["title"] for part in PARTS for article in articles(part)]
    assert len(set(titles)) == len(titles)


def test_no_two_questions_are_the_same() -> None:
    everything = [" ".join(words(item.question)) for part in PARTS for item in asked(part)]
    assert [q for q, count in Counter(everything).items() if count > 1] == []


def test_ids_are_unique_over_both_parts() -> None:
    ids = [
        qa["id"]
        for part in PARTS
        for article in articles(part)
        for p in article["paragraphs"]
        for qa in p["qas"]
    ]
    assert len(set(ids)) == len(ids)


def test_the_two_parts_share_no_sentence_nor_near_duplicate() -> None:
    train = set().union(*map(grams, passages("train")))
    dev = set().union(*map(grams, passages("dev")))
    assert train & dev == set()


def test_no_passage_repeats_another_of_its_part() -> None:
    for part in PARTS:
        counts = Counter(gram for passage in passages(part) for gram in grams(passage))
        assert [gram for gram, count in counts.items() if count > 1] == []


def test_the_two_parts_share_no_near_duplicate_question() -> None:
    # A question of the other part with the same content words, whatever their order.
    train = {frozenset(content_stems(item.question)) for item in asked("train")}
    dev = {frozenset(content_stems(item.question)) for item in asked("dev")}
    assert {stems for stems in train & dev if len(stems) >= 3} == set()


def test_training_questions_have_one_answer_and_dev_questions_all_acceptable_ones() -> None:
    assert all(len(item.answers) == 1 for item in asked("train"))
    several = sum(len(item.answers) > 1 for item in asked("dev"))
    assert several / len(asked("dev")) >= 0.8  # some answers, such as a year, have no other form


def test_dev_answers_are_distinct_and_stand_close_together_or_share_words() -> None:
    for item in asked("dev"):
        spans = set(zip(item.answers, item.starts, strict=True))
        assert len(spans) == len(item.answers), item
        first, begin = set(words(item.answers[0])), item.starts[0]
        for answer, start in spans:
            gap = max(begin - (start + len(answer)), start - (begin + len(item.answers[0])))
            assert gap < 150 or first & set(words(answer)), item


@pytest.mark.parametrize("part", PARTS)
def test_questions_are_questions(part: str) -> None:
    for item in asked(part):
        assert item.question.endswith("?"), item.question
        assert item.question[0].isupper() or not item.question[0].isalpha(), item.question
        assert 3 <= len(item.question.split()) <= 30, item.question


@pytest.mark.parametrize("part", PARTS)
def test_question_words_are_spread(part: str) -> None:
    counts: Counter[str] = Counter()
    for item in asked(part):
        stems = [re.split(r"['\u2019]", word)[0] for word in words(item.question)]
        counts[next((word for word in stems if word in QUESTION_WORDS), "none")] += 1
    total = len(asked(part))
    assert counts["none"] / total <= 0.02
    assert max(counts.values()) / total <= 0.5
    assert all(counts[word] >= 4 for word in QUESTION_WORDS), counts
    for word in ("which", "how", "who"):
        assert counts[word] / total >= 0.05, counts


@pytest.mark.parametrize("part", PARTS)
def test_answer_lengths_are_spread(part: str) -> None:
    counts = Counter(min(len(item.answers[0].split()), 5) for item in asked(part))
    total = len(asked(part))
    assert all(counts[length] / total <= 0.4 for length in counts), counts
    assert all(counts[length] / total >= 0.05 for length in (1, 2, 3, 4, 5)), counts


@pytest.mark.parametrize("part", PARTS)
def test_answer_kinds_are_spread(part: str) -> None:
    counts = Counter(kind(item.answers[0]) for item in asked(part))
    total = len(asked(part))
    assert counts["number"] / total >= 0.12, counts
    assert counts["name"] / total >= 0.15, counts
    assert counts["other"] / total >= 0.3, counts


@pytest.mark.parametrize("part", PARTS)
def test_answers_lie_all_over_the_passage(part: str) -> None:
    thirds = Counter(min(2, 3 * item.starts[0] // len(item.context)) for item in asked(part))
    assert all(thirds[third] / len(asked(part)) >= 0.25 for third in range(3)), thirds


@pytest.mark.parametrize("part", PARTS)
def test_no_answer_can_be_guessed_without_the_passage(part: str) -> None:
    counts = Counter(item.answers[0].lower() for item in asked(part))
    assert counts.most_common(1)[0][1] / len(asked(part)) <= 0.02
    told = sum(f" {i.answers[0].lower()} " in f" {i.question.lower()} " for i in asked(part))
    assert told / len(asked(part)) <= 0.01


def test_subjects_are_spread() -> None:
    subjects = {part: Counter(article["subject"] for article in articles(part)) for part in PARTS}
    assert len(subjects["train"]) >= 100
    assert len(subjects["dev"]) >= 30
    for part, counts in subjects.items():
        assert max(counts.values()) <= 0.05 * len(articles(part)), part


@pytest.mark.parametrize("part", PARTS)
def test_most_questions_paraphrase_the_sentence_of_their_answer(part: str) -> None:
    # By the share of a question's content words that stand in that sentence.
    shares = [overlap(item) for item in asked(part)]
    assert sum(share <= 0.5 for share in shares) / len(shares) >= 0.9
    assert sum(shares) / len(shares) <= 0.4


def test_text_is_clean() -> None:
    for part in PARTS:
        for text in passages(part) + [item.question for item in asked(part)]:
            assert text == " ".join(text.split())
            assert "\ufffd" not in text
            assert not re.search(r"https?://|<[a-z/]+>|&[a-z]+;", text)
