# SPDX-License-Identifier: Apache-2.0
"""A hub folder with a tiny model, and the programs of others that open it."""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report_fixtures import of_preset
from repository import ROOT
from span_files import write_golden, write_model_json
from web_programs import QUESTIONS, WEB

from converters.precisions import ONNX
from converters.runtimes.open import open_predictor
from pipeline.tasks.question_answering.features import Limits
from pipeline.tasks.question_answering.squad import Question, load_questions

INSTALL = "run `make web-test`, which installs it"
# Windows are short, so that the passages below have several.
LIMITS = Limits(max_length=96, stride=32, max_query=24, max_answer=12)


@pytest.fixture(scope="session")
def node() -> str:
    """The command `node`."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("Node is not installed")
    return found


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder of the packages from npm."""
    folder = WEB / "node_modules"
    if not (folder / "@huggingface" / "transformers").is_dir():
        pytest.skip(f"transformers.js is not installed: {INSTALL}")
    return folder


@pytest.fixture(scope="session")
def chromium(packages: Path) -> str:
    """The command of a Chromium; `CHROMIUM` names another one."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    found = next((path for path in map(shutil.which, filter(None, names)) if path), None)
    if found is None:
        pytest.skip("Chromium is not installed: install it, or name one by CHROMIUM")
    return found


@pytest.fixture(scope="session")
def optimum() -> str:
    """The Python of the environment that has optimum."""
    python = ROOT / ".compat" / "optimum" / "bin" / "python"
    if not python.is_file():
        pytest.skip(f"optimum is not installed: {INSTALL}")
    return str(python)


@pytest.fixture(scope="session")
def questions() -> tuple[Question, ...]:
    """24 questions of the embedded evaluation set, evenly drawn."""
    every = load_questions("embedded", "dev").questions
    return every[:: len(every) // QUESTIONS][:QUESTIONS]


@pytest.fixture(scope="session", params=["distilbert", "bert"])
def build(
    request: pytest.FixtureRequest,
    tiny_export: Path,
    make_teacher: Callable[..., Path],
    tokenizer: Any,
    questions: tuple[Question, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A build folder with a tiny random student as .onnx files, and the hub folder made of it.

    A BERT reads segments, a DistilBERT has none.
    """
    from transformers import AutoModelForQuestionAnswering

    from converters.onnx.export import export_many
    from pipeline.files.export import write_vocabulary
    from pipeline.report.hub_folder import write_hub_folder

    out = tmp_path_factory.mktemp("web") / "build"
    student = tiny_export.parent / "student"
    if request.param == "bert":
        student = make_teacher(head="qa")
    shutil.copytree(student, out / "student")
    model = AutoModelForQuestionAnswering.from_pretrained(out / "student").eval()
    folder = out / "onnx"
    files = export_many(model, folder, ONNX)
    vocabulary = write_vocabulary(folder, tokenizer)
    write_model_json(vocabulary, files, tokenizer, LIMITS, max_positions=512)
    models = {path.name: open_predictor(path) for path in files.values()}
    write_golden(folder, models, tokenizer, LIMITS, questions, QUESTIONS)
    report = of_preset()
    entry = next(file for file in report["files"] if file["target"] == "onnx")
    report["files"] = [
        copy.deepcopy(entry)
        | {"name": path.stem, "precision": precision, "path": f"onnx/{path.name}"}
        for precision, path in files.items()
    ]
    assert write_hub_folder(report, out) == out / "hub"
    return out


@pytest.fixture(scope="session")
def hub(build: Path) -> Path:
    """The hub folder."""
    return build / "hub"
