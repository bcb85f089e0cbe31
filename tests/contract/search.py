# SPDX-License-Identifier: Apache-2.0
"""Long passages with logits made up: which windows are read, what is answered, and what else was.

Each case has the places of the windows that are read among all, their logits, the answer and the
best candidates.  Where a number is not finite, the file has its name as a text.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from typing import Any, Final
from unittest.mock import patch

import numpy as np

from pipeline.tasks.question_answering import evaluate
from pipeline.tasks.question_answering.candidates import candidates
from pipeline.tasks.question_answering.evaluate import Answer, Answerer
from pipeline.tasks.question_answering.features import Limits, Window, Windower
from pipeline.tasks.question_answering.search import RULES, Search, levels, shortlist
from pipeline.tasks.question_answering.squad import Question
from pipeline.tasks.reading import Outputs, Reading

CASES: Final = 300
LIMITS: Final = (
    Limits(max_length=32, stride=12, max_query=8, max_answer=4, n_best=5),
    Limits(max_length=28, stride=17, max_query=8, max_answer=6, n_best=20),
    Limits(max_length=40, stride=5, max_query=12, max_answer=3, n_best=3),
)
MOST: Final = (None, 1, 2, 3, 99)
STYLES: Final = ("coarse", "fine", "flat", "strange")
STRANGE: Final = (math.nan, math.inf, -math.inf)
THRESHOLDS: Final = (0.0, -1.5, 2.25)
SHOWN: Final = 4  # candidates of each case

# Two implementations of exp and log differ by less.
ROUNDING: Final = 1e-9


def search_document(
    tokenizer: Any, description: dict[str, Any], questions: Sequence[Question], seed: int
) -> dict[str, Any]:
    """The cases, with the limits and the tokenizer that they share."""
    generator = random.Random(seed)
    asked = itertools.islice(_asked(questions, generator), CASES)
    return {
        "limits": [vars(limits) for limits in LIMITS],
        "tokenizer": description,
        "cases": [_case(tokenizer, number, *each, generator) for number, each in enumerate(asked)],
    }


def _asked(questions: Sequence[Question], generator: random.Random) -> Iterator[tuple[str, str]]:
    """Questions with passages of several windows, many of which are equal in some of them."""
    words = [
        "rome",
        "is",
        "old",
        "and",
        "the",
        "tower",
        "of",
        "oslo",
        "was",
        "built",
        "by",
        "emma",
        "in",
        "may",
    ]
    while True:
        one = questions[generator.randrange(len(questions))]
        sentence = " ".join(generator.choices(words, k=generator.randrange(3, 9)))
        varied = " ".join(generator.choices(words, k=generator.randrange(30, 120)))
        yield one.text, " ".join(one.context.split()[: generator.randrange(20, 120)])
        yield " ".join(generator.choices(words, k=3)), f"{sentence}. " * generator.randrange(5, 14)
        yield " ".join(generator.choices(words, k=12)), varied
        yield "xyz", varied  # no window has it
        yield generator.choice(("", " ", "?", "the the tower the")), f"{sentence}. {varied}"
        yield "who?", ""


def _case(
    tokenizer: Any, number: int, question: str, context: str, generator: random.Random
) -> dict[str, Any]:
    limits = LIMITS[number % len(LIMITS)]
    search = Search(generator.choice(RULES), generator.choice(MOST))
    style = generator.choice(STYLES)
    threshold = generator.choice(THRESHOLDS)
    reader = Answerer(
        None,  # type: ignore[arg-type] # the logits are made up
        tokenizer,
        limits,
        may_abstain=generator.random() < 0.4,
        null_threshold=threshold,
        search=search,
    )
    windows = Windower(tokenizer, limits).windows(question, context)
    kept = shortlist(windows, search.max_windows)
    while True:
        logits = [_logits(window, style, generator) for window in kept]
        found = _read(reader, kept, logits, context)
        if search.rule != "log-probability" or _is_clear(reader, kept, logits, context, found):
            break
    answer, others = found
    return {
        "question": question,
        "context": context,
        "limits": number % len(LIMITS),
        "search": vars(search),
        "may_abstain": reader.may_abstain,
        "null_threshold": threshold,
        "window_count": len(windows),
        "read": [windows.index(window) for window in kept],
        "logits": [[[_plain(value) for value in one] for one in pair] for pair in logits],
        "answer": _answer(answer.start, answer.end, answer.score),
        "candidates": [
            _answer(one.start, one.end, one.score) | {"probability": one.probability}
            for one in others[:SHOWN]
        ]
        if style != "strange"
        else None,  # a softmax over infinities is none
    }


def _logits(window: Window, style: str, generator: random.Random) -> Outputs:
    """Float32 [S] for starts and ends: of few values, of many, all the same, or with odd ones."""

    def drawn() -> list[float]:
        if style == "fine":
            return [round(generator.gauss(0, 3), 2) for _ in window.ids]
        values = 1 if style == "flat" else 12
        found = [generator.randrange(values) / 4 - 1 for _ in window.ids]
        if style == "strange" and generator.random() < 0.6:
            for place in (0, *generator.choices(range(len(found)), k=2)):
                if generator.random() < 0.4:
                    found[place] = generator.choice(STRANGE)
        return found

    return np.asarray(drawn(), np.float32), np.asarray(drawn(), np.float32)


def _read(
    reader: Answerer, windows: list[Window], logits: list[Outputs], context: str
) -> tuple[Answer, list[Any]]:
    """The answer and the candidates."""
    asked = Question("", "", context, "a question with text", (), ())
    with np.errstate(invalid="ignore"):  # infinity less infinity
        answer = reader.decode(asked, windows, logits)
        return answer, candidates(reader, Reading(windows, logits, answer), context)


def _is_clear(
    reader: Answerer,
    windows: list[Window],
    logits: list[Outputs],
    context: str,
    found: tuple[Answer, list[Any]],
) -> bool:
    """Whether rounding of exp and log, alike in equal windows, changes no place and no order."""

    def places(read: tuple[Answer, list[Any]]) -> list[tuple[int, int]]:
        return [(one.start, one.end) for one in (read[0], *read[1][:SHOWN])]

    keys = [tuple(np.concatenate(pair).tolist()) for pair in logits]
    for seed in range(4):
        chance = random.Random(seed)
        errors = {key: ROUNDING * chance.uniform(-1, 1) for key in keys}
        heights = levels(reader.search.rule, windows, logits)
        changed = [height + errors[key] for height, key in zip(heights, keys, strict=True)]
        with patch.object(evaluate, "levels", lambda *_: changed):  # noqa: B023
            if places(_read(reader, windows, logits, context)) != places(found):
                return False
    return True


def _answer(start: int, end: int, score: float) -> dict[str, Any]:
    return {"start": start, "end": end, "score": _plain(score)}


def _plain(value: float) -> float | str:
    """A number, or the name of one that JSON has not."""
    return float(value) if math.isfinite(value) else str(float(value))
