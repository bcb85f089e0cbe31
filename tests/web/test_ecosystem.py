# SPDX-License-Identifier: Apache-2.0
"""The hub folder in transformers.js and in optimum: the same ids, logits and answers as ours.

Both pipelines take the best sum of a start and an end logit, as we do, but decide otherwise which
spans they look at: transformers.js knows neither windows nor a longest answer, and gives the
answer's pieces put together instead of the passage's words.  So each question has one window here,
and our side looks at every span that theirs does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from web_programs import QUESTIONS, WEB, run_json

from converters.precisions import ONNX, ONNX_HUB_DTYPES, ONNX_HUB_FILES
from converters.runtimes.open import open_predictor
from pipeline.tasks.question_answering.evaluate import Answerer
from pipeline.tasks.question_answering.features import Limits
from pipeline.tasks.question_answering.squad import Question

# The vocabulary is tiny, so a piece is little more than a character.
CHARACTERS = 250
LENGTH = 384
# The same operators of two releases of one runtime.
TOLERANCE = {"fp32": 1e-4, "fp16": 5e-3, "int8": 5e-3}

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def cases(questions: tuple[Question, ...]) -> list[dict[str, Any]]:
    """24 questions with the beginnings of their passages."""
    assert len(questions) == QUESTIONS
    return [
        {
            "question": question.text,
            "context": question.context[:CHARACTERS],
            "max_length": LENGTH,
            "max_answer": LENGTH,
        }
        for question in questions
    ]


def _ours(build: Path, precision: str, tokenizer: Any) -> Answerer:
    """Our file, with limits that allow every span of one window."""
    limits = Limits(LENGTH, 128, 128, LENGTH, LENGTH)
    return Answerer(open_predictor(build / "onnx" / f"student-{precision}.onnx"), tokenizer, limits)


def _compare(
    answerer: Answerer, case: dict[str, Any], theirs: dict[str, Any], tolerance: float
) -> Any:
    """Checks ids and logits, and returns our reading."""
    reading = answerer.run(case["question"], case["context"])
    assert len(reading.inputs) == 1
    assert theirs["ids"] == reading.inputs[0].ids.tolist()
    for name, ours in zip(("start_logits", "end_logits"), reading.outputs[0], strict=True):
        assert np.abs(np.asarray(theirs[name]) - ours).max() <= tolerance
    return reading


@pytest.mark.parametrize("precision", ONNX)
def test_transformers_js_answers_as_we_do(
    precision: str,
    node: str,
    packages: Path,
    build: Path,
    tokenizer: Any,
    cases: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    script = str(WEB / "transformers.mjs")
    command = [node, script, str(build / "hub"), ONNX_HUB_DTYPES[precision]]
    answerer = _ours(build, precision, tokenizer)
    for case, theirs in zip(cases, run_json(command, tmp_path, cases), strict=True):
        reading = _compare(answerer, case, theirs, TOLERANCE[precision])
        window, answer = reading.inputs[0], reading.prediction
        starts, ends = window.offsets.T.tolist()
        first, last = starts.index(answer.start), ends.index(answer.end)
        ids = window.ids[window.first + first : window.first + last + 1]
        assert theirs["answer"] == tokenizer.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("precision", ONNX)
def test_optimum_answers_as_we_do(
    precision: str,
    optimum: str,
    build: Path,
    tokenizer: Any,
    cases: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    script = str(WEB / "optimum_answers.py")
    command = [optimum, script, str(build / "hub"), ONNX_HUB_FILES[precision]]
    answerer = _ours(build, precision, tokenizer)
    for case, theirs in zip(cases, run_json(command, tmp_path, cases), strict=True):
        answer = _compare(answerer, case, theirs, TOLERANCE[precision]).prediction
        found = (theirs["answer"], theirs["start"], theirs["end"])
        assert found == (answer.text, answer.start, answer.end)
