# SPDX-License-Identifier: Apache-2.0
"""Golden cases of question answering, and the questions of a benchmark on a phone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.measure.latency import VALID_QUERIES
from pipeline.documents import GOLDEN_SCHEMA
from pipeline.tasks.question_answering import languages
from pipeline.tasks.question_answering.evaluate import Answerer
from pipeline.tasks.question_answering.squad import Question, QuestionSet

QUESTIONS_SCHEMA = 2  # 2 added `scoring`

# Texts on which tokenizers differ: accents, combining marks, CJK, characters outside the BMP, zero
# width, and a word longer than a tokenizer accepts.
UNUSUAL = (
    (
        "Wer wohnte in Köln?",
        "Zoë and naïve René moved from Köln to Malmo\u0308 in 1998, near the café.",
    ),
    (
        "Which tower is in 東京?",
        "東京 has the Skytree, 634 m tall; \U0001f5fc is only its picture "
        "\U0001f468\u200d\U0001f469\u200d\U0001f467.",
    ),
    (
        "What is hidden?",
        "A soft\u00adhyphen, a zero\u200bwidth space,\ta tab and "
        + "x" * 120
        + " are hidden here.",
    ),
)


def cases(
    questions: Sequence[Question], count: int, max_length: int, added: str | None = None
) -> list[tuple[str, str]]:
    """Questions with their passages: some of a set, texts that are unusual, one long passage.

    Args:
        questions: drawn from evenly.
        count: how many of them.
        max_length: of a window, in word pieces; the long passage has several.
        added: a passage with the added tokens of a tokenizer that has some.
    """
    questions = [q for q in questions if q.text.strip()] or questions  # an app asks no others
    step = max(1, len(questions) // count)
    picked = [(q.text, q.context) for q in questions[::step]][:count]
    distinct = list(dict.fromkeys(q.context for q in questions))
    long_passage = "\n\n".join(distinct[: -(-5 * max_length // 200)])
    unusual = [*UNUSUAL, *([(f"What is old in {added[:40]}?", added)] if added else [])]
    return [*picked, *unusual, (picked[-1][0], long_passage), (picked[0][0], "")]


def golden_document(
    cases: Sequence[tuple[str, str]], answerers: Mapping[str, Answerer]
) -> dict[str, Any]:
    """What `golden.json` says of questions and their passages, answered by each file."""
    return {
        "schema_version": GOLDEN_SCHEMA,
        "offsets": "Unicode code points",
        "logits": "of the first window, at its own length",
        "cases": [_case(question, context, answerers) for question, context in cases],
    }


def _case(question: str, context: str, answerers: Mapping[str, Answerer]) -> dict[str, Any]:
    readings = {name: answerer.run(question, context) for name, answerer in answerers.items()}
    windows = next(iter(readings.values())).inputs
    results = {}
    for name, reading in readings.items():
        answer, (start, end) = reading.prediction, reading.outputs[0]
        results[name] = {
            "text": answer.text,
            "start": answer.start,
            "end": answer.end,
            "score": round(answer.score, 4),
            "start_logits": _rounded(start),
            "end_logits": _rounded(end),
        }
    return {
        "question": question,
        "context": context,
        "windows": [
            {"ids": w.ids.tolist(), "first": w.first, "offsets": w.offsets.tolist()}
            for w in windows[:1]
        ],
        "window_count": len(windows),
        "answers": results,
    }


def _rounded(logits: np.ndarray) -> list[float]:
    return [round(float(value), 4) for value in logits]


def questions_document(evaluation: QuestionSet) -> dict[str, Any]:
    """`questions.json`: no more questions than a benchmark has to ask; each passage once.

    An answer that several people gave is in it once; a question without answers (SQuAD 2.0) has [].
    `scoring` holds the language with its rules, so that an app scores as the build does.
    """
    asked = tuple(q for q in evaluation.questions if q.text.strip())  # an app asks no others
    picked = replace(evaluation, questions=asked).spread(VALID_QUERIES)
    places = {passage: place for place, passage in enumerate(picked.passages)}
    return {
        "schema_version": QUESTIONS_SCHEMA,
        "source": evaluation.name,
        "sha256": evaluation.sha256,
        "available": len(asked),
        "scoring": languages.describe(evaluation.language),
        "passages": list(places),
        "questions": [
            {
                "passage": places[question.context],
                "question": question.text,
                "answers": list(dict.fromkeys(question.answers)),
            }
            for question in picked.questions
        ],
    }
