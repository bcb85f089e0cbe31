# SPDX-License-Identifier: Apache-2.0
"""A classifier's hub folder in transformers.js and optimum: the ids, logits and classes of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from class_files import dev_texts, write_files
from report_fixtures import of_preset
from web_programs import WEB, run_json

from converters.precisions import ONNX, ONNX_HUB_DTYPES, ONNX_HUB_FILES
from pipeline.predict import open_classifier
from pipeline.tasks.text_classification import TASK

# The same operators of two releases of one runtime.
TOLERANCE = {"fp32": 1e-4, "fp16": 5e-3, "int8": 5e-3}

pytestmark = pytest.mark.long


@pytest.fixture(scope="module", params=["distilbert", "bert"])
def build(
    request: pytest.FixtureRequest, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A build folder with a tiny random classifier as .onnx files, and the hub folder of it."""
    from pipeline.report.hub_folder import write_hub_folder

    out = tmp_path_factory.mktemp("classes") / "build"
    files = write_files(out, tokenizer, "onnx", ONNX, request.param, max_length=512)
    report = of_preset("embedded-classification")
    report |= {"task": TASK.name, "metrics": [dict(metric) for metric in TASK.metrics[:2]]}
    report["data"] |= {part: dev_texts().facts() for part in ("train", "eval")}
    scores = {metric["name"]: 50.0 for metric in report["metrics"]}
    report["models"] = [model | {"scores": scores} for model in report["models"]]
    entry = report["files"][0] | {"target": "onnx", "scores": scores}
    report["files"] = [
        entry | {"name": path.stem, "precision": precision, "path": f"onnx/{path.name}"}
        for precision, path in zip(ONNX, files, strict=True)
    ]
    assert write_hub_folder(report, out) == out / "hub"
    return out


@pytest.fixture(scope="module")
def cases(build: Path) -> list[dict[str, Any]]:
    """The golden cases: 24 texts of the embedded set, unusual ones, and one that is too long."""
    document = json.loads((build / "onnx" / "golden.json").read_text(encoding="utf-8"))
    cases: list[dict[str, Any]] = document["cases"]
    assert len(cases) >= 24
    return cases


def _compare(
    build: Path, precision: str, cases: list[dict[str, Any]], results: list[dict[str, Any]]
) -> None:
    """Checks ids, logits, labels and scores."""
    file = build / "onnx" / f"student-{precision}.onnx"
    classifier = open_classifier(file)
    for case, theirs in zip(cases, results, strict=True):
        reading = classifier.run(case["text"])
        assert theirs["ids"] == case["ids"] == reading.inputs[0].ids.tolist()
        error = np.abs(np.asarray(theirs["logits"]) - reading.outputs[0][0]).max()
        assert error <= TOLERANCE[precision]
        ours = dict(reading.prediction.ranked())
        scores = {one["label"]: one["score"] for one in theirs["classes"]}
        assert scores == pytest.approx(ours, abs=TOLERANCE[precision])
        answer = case["answers"][file.name]
        assert theirs["classes"][0]["label"] == answer["label"] == reading.prediction.label


@pytest.mark.parametrize("precision", ONNX)
def test_transformers_js_classifies_as_we_do(
    precision: str,
    node: str,
    packages: Path,
    build: Path,
    cases: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    script = str(WEB / "classes.mjs")
    command = [node, script, str(build / "hub"), ONNX_HUB_DTYPES[precision]]
    texts = [case["text"] for case in cases]
    results = run_json(command, tmp_path, texts)
    # It adds [SEP] before it cuts a text that is too long, and so loses the piece.
    assert results[-1]["ids"][:-1] == cases[-1]["ids"][:-1] != results[-1]["ids"]
    _compare(build, precision, cases[:-1], results[:-1])


@pytest.mark.parametrize("precision", ONNX)
def test_optimum_classifies_as_we_do(
    precision: str, optimum: str, build: Path, cases: list[dict[str, Any]], tmp_path: Path
) -> None:
    script = str(WEB / "optimum_classes.py")
    command = [optimum, script, str(build / "hub"), ONNX_HUB_FILES[precision]]
    texts = [case["text"] for case in cases]
    _compare(build, precision, cases, run_json(command, tmp_path, texts))
