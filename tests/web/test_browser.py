# SPDX-License-Identifier: Apache-2.0
"""The hub folder's page in headless Chromium: the same answers as in Python, and nothing sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from web_programs import QUESTIONS, WEB, run_json

from pipeline.ask import open_answerer
from pipeline.report import web
from pipeline.tasks.question_answering.golden import UNUSUAL
from pipeline.tasks.question_answering.squad import Question

# In the order of the page's list.
PRECISIONS = tuple(web.CHOICES)
# WebAssembly adds in another order than a CPU's vectors, and fp16 files are computed in float32 or
# in half precision; int8 files round once more, each token by a scale that those sums decide.
TOLERANCE = {"fp32": 1e-3, "fp16": 0.02, "int8": 0.02}
OWN = ("/", "/config.json", "/onnx/golden.json", "/onnx/model.json", "/onnx/vocab.txt")
MODELS = ("/onnx/model.onnx", "/onnx/model_fp16.onnx", "/onnx/model_quantized.onnx")

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def cases(questions: tuple[Question, ...]) -> list[dict[str, Any]]:
    """24 questions and the texts on which tokenizers differ, for each file of the model."""
    asked = [(question.text, question.context) for question in questions]
    assert len(asked) == QUESTIONS
    return [
        {"question": question, "context": context, "file": place}
        for place in range(len(PRECISIONS))
        for question, context in (*asked, *UNUSUAL)
    ]


@pytest.fixture(scope="module")
def said(
    node: str, chromium: str, hub: Path, cases: list[dict[str, Any]], tmp_path_factory: Any
) -> Any:
    """What the browser says."""
    folder = tmp_path_factory.mktemp("browser")
    command = [node, str(WEB / "browser.mjs"), str(hub), chromium]
    return run_json(command, folder, cases)


@pytest.mark.parametrize("place", range(len(PRECISIONS)), ids=PRECISIONS)
def test_answers_are_those_of_python(
    place: int, said: Any, cases: list[dict[str, Any]], build: Path
) -> None:
    precision = PRECISIONS[place]
    answerer = open_answerer(build / "onnx" / f"student-{precision}.onnx")
    several = 0
    for case, answer in zip(cases, said["answers"], strict=True):
        if case["file"] != place:
            continue
        expected = answerer.answer(case["question"], case["context"])
        found = (answer["text"], answer["start"], answer["end"], answer["windows"])
        assert found == (expected.text, expected.start, expected.end, expected.windows), case
        assert answer["score"] == pytest.approx(expected.score, abs=TOLERANCE[precision])
        assert answer["shown"] == expected.text and answer["passage"] == case["context"]
        several += expected.windows > 1
    assert several >= QUESTIONS


def test_nothing_is_sent_and_nothing_else_is_loaded(said: Any) -> None:
    libraries = (*web.IMPORTS.values(), web.WEB_ASSEMBLY)
    allowed = {*OWN, *MODELS, *(library.url for library in libraries)}
    assert {request["url"] for request in said["addresses"]} == allowed
    assert {request["method"] for request in said["addresses"]} == {"GET"}
    assert said["problems"] == []


def test_a_reader_can_stop_it(said: Any) -> None:
    assert said["stopped"] == "You stopped the model before it had read the whole passage."


def test_a_library_with_another_content_does_not_run(said: Any) -> None:
    assert len(said["tampered"]) == 3
    for name, error in said["tampered"].items():
        assert error is not None and "cannot load its libraries from" in error, name
