# SPDX-License-Identifier: Apache-2.0
"""The seam between the build and its tasks: a task that the package does not know is built whole.

If this fails, something outside `pipeline/tasks/question_answering/` asks which task it is.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import toy_task

from converters.interface import CLASSES
from converters.runtimes.open import open_predictor
from pipeline import build, tasks
from pipeline.errors import UserError


@pytest.mark.long
def test_a_task_from_outside_becomes_checked_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "TASKS", (*tasks.TASKS, "toy"))
    monkeypatch.setitem(sys.modules, "pipeline.tasks.toy", toy_task)
    flags = ["--task", "toy", "--preset", "smoke", "--out", str(tmp_path / "out")]
    flags += ["--target", "all", "--precision", "fp32", "--benchmark.queries", "2"]
    assert build.main(flags) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert report["task"] == "toy" and [one["name"] for one in report["metrics"]] == ["near"]
    assert [file["target"] for file in report["files"]] == ["tflite", "coreml", "onnx"]
    assert all(file["gate"]["passed"] for file in report["files"])
    ids = np.array([[101, 1996, 2103, 102]], np.int32)
    found = []
    for file in report["files"]:
        predictor = open_predictor(tmp_path / "out" / file["path"])
        assert predictor.interface is CLASSES
        (logits,) = predictor.run(ids, np.ones_like(ids), np.zeros_like(ids))
        found.append(logits)
    # The gate of fp32 allows 1e-3 against PyTorch, twice that between two files.
    assert all(logits.shape == (1,) and abs(logits - found[0]).max() < 2e-3 for logits in found)
    assert "It is a toy." in (tmp_path / "out" / "hub" / "README.md").read_text("utf-8")


def test_a_head_with_another_number_of_outputs_is_refused() -> None:
    texts = toy_task.TASK.load(toy_task.TASK.settings().data, "dev")
    assert toy_task.TASK.agreed({}, texts, {"one": ("LABEL_0",)}) == {}
    with pytest.raises(UserError, match=r"two has a head with 2 outputs, .* needs 1: name another"):
        toy_task.TASK.agreed({}, texts, {"one": ("LABEL_0",), "two": ("a", "b")})


def test_a_task_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"did you mean question-answering\?"):
        tasks.find("question-answer")
