# SPDX-License-Identifier: Apache-2.0
"""The embedded messages: sizes, classes, sources apart, and no text twice or nearly twice."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from repository import ROOT

FOLDER = ROOT / "pipeline/tasks/text_classification/embedded"
CLASSES = {"account", "delivery", "payment", "praise", "product", "returns"}
SIZES = {"train": (702, 27), "dev": (234, 9)}  # messages, sources

Row = dict[str, str]


def rows(part: str) -> list[Row]:
    """The messages of a part, in the order of its file."""
    lines = (FOLDER / f"{part}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def words(text: str) -> frozenset[str]:
    """The distinct words of a text, in lower case and without punctuation."""
    return frozenset(re.findall(r"[a-z0-9']+", text.lower()))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of words that two texts have in common: 0 for none, 1 for all."""
    return len(one & other) / len(one | other)


@pytest.mark.parametrize("part", SIZES)
def test_sizes_fields_and_classes(part: str) -> None:
    messages, sources = SIZES[part]
    found = rows(part)
    assert len(found) == messages
    assert {tuple(row) for row in found} == {("text", "label", "source")}
    assert Counter(row["label"] for row in found) == dict.fromkeys(CLASSES, messages // 6)
    assert Counter(row["source"] for row in found) == {row["source"]: 26 for row in found}
    assert len({row["source"] for row in found}) == sources


@pytest.mark.parametrize("part", SIZES)
def test_every_source_has_every_class_four_or_five_times(part: str) -> None:
    counts = Counter((row["source"], row["label"]) for row in rows(part))
    assert len(counts) == SIZES[part][1] * len(CLASSES)
    assert set(counts.values()) == {4, 5}


@pytest.mark.parametrize("part", SIZES)
def test_texts_are_short_and_plain(part: str) -> None:
    texts = [row["text"] for row in rows(part)]
    assert [text for text in texts if not 6 <= len(text.split()) <= 60] == []
    assert [text for text in texts if not text.isascii() or text != " ".join(text.split())] == []
    assert [text for text in texts if re.search(r"@|https?:|www\.|\d{3}-\d{4}", text)] == []


def test_no_source_is_in_both_parts() -> None:
    train, dev = ({row["source"] for row in rows(part)} for part in SIZES)
    assert train.isdisjoint(dev)


def test_no_text_occurs_twice() -> None:
    texts = [row["text"].lower() for part in SIZES for row in rows(part)]
    assert [text for text, count in Counter(texts).items() if count > 1] == []


def test_no_text_of_dev_resembles_one_of_train() -> None:
    train = [words(row["text"]) for row in rows("train")]
    near = [
        row["text"]
        for row in rows("dev")
        if max(jaccard(words(row["text"]), other) for other in train) > 0.6
    ]
    assert near == []


def test_few_messages_open_alike() -> None:
    openings = Counter(
        tuple(row["text"].lower().split()[:4]) for part in SIZES for row in rows(part)
    )
    assert max(openings.values()) <= 12
