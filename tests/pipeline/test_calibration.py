# SPDX-License-Identifier: Apache-2.0
"""A build on SQuAD 2.0's kind of data: its threshold reaches every document that needs it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converters import sealed
from pipeline.ask import open_answerer
from pipeline.build import main
from pipeline.errors import UserError
from pipeline.report import schema

CONVERTED = ("onnx/student-fp32.onnx", "onnx/model.json", "onnx/golden.json")


@pytest.fixture(scope="module")
def flags(tiny_teacher: Path, text_file: Path) -> list[str]:
    return [
        *("--preset", "smoke", "--target", "onnx", "--precision", "fp32", "--no-benchmark"),
        *("--teacher.model", str(tiny_teacher), "--distil.text", str(text_file)),
        *("--max-length", "128", "--stride", "32", "--golden-cases", "3", "--distil.length", "64"),
        *("--distil.max-samples", "16", "--mlm-head.max-samples", "80", "--max-eval", "24"),
    ]


def facts(report: dict[str, Any], stage: str) -> Any:
    return next((s["facts"] for s in report["stages"] if s["name"] == stage), None)


def test_the_threshold_is_found_once_recorded_and_used(
    flags: list[str],
    tiny_squad: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tiny_squad(count=24, impossible=9)
    document = json.loads(path.read_text())
    questions = [q for p in document["data"][0]["paragraphs"] for q in p["qas"]]
    for question in questions[::2]:  # as people have it
        question["is_impossible"] = int(question.get("is_impossible", False))
        question["id"] = "again"
    path.write_text(json.dumps(document))
    out = tmp_path / "out"
    arguments = [*flags, "--train-file", str(path), "--eval-file", str(path), "--out", str(out)]
    assert main([*arguments, "--dry-run"]) == 0
    assert "calibration" in capsys.readouterr().out
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    mended = 'squad.json: `is_impossible` values such as 1 or "true", read as true or false: 12; '
    assert mended + "ids used again, made unique by a number: 11\n" in printed
    assert "scores: by the rules of the language en (found in the passages)" in printed

    report = json.loads((out / "report.json").read_text())
    schema.validate(report)
    threshold = facts(report, "calibration")["null_threshold"]
    assert isinstance(facts(report, "verify")["teacher_null_threshold"], float)
    assert report["config"]["data"]["language"] == "en"
    assert report["data"]["eval"]["counts"]["ids_numbered"] == 11
    names = ["f1", "exact_match", "has_answer_f1", "no_answer_accuracy"]
    assert [metric["name"] for metric in report["metrics"]] == names
    for entry in (*report["models"], *report["files"]):
        assert list(entry["scores"]) == names
    model = json.loads((out / "onnx" / "model.json").read_text())
    assert (model["may_abstain"], model["null_threshold"]) == (True, threshold)
    file = out / "onnx" / "student-fp32.onnx"
    answerer = open_answerer(file)
    assert (answerer.may_abstain, answerer.null_threshold) == (True, threshold)
    golden = json.loads((out / "onnx" / "golden.json").read_text())
    for case in golden["cases"]:
        answer = answerer.answer(case["question"], case["context"])
        assert case["answers"][file.name]["text"] == answer.text

    # All of it is kept; another language's rules change the scores, and no file.
    stamps = [(out / name).stat().st_mtime_ns for name in CONVERTED]
    assert main([*arguments, "--language", "de"]) == 0
    report = json.loads((out / "report.json").read_text())
    ran = {stage["name"] for stage in report["stages"] if not stage["resumed"]}
    assert "verify" in ran and not ran & {"teacher", "distilled", "student"}
    assert report["config"]["data"]["language"] == "de"
    if facts(report, "calibration")["null_threshold"] == threshold:
        assert [(out / name).stat().st_mtime_ns for name in CONVERTED] == stamps

    # An older model.json says nothing of a threshold; one that is none is refused.
    copy = Path(shutil.copytree(out / "onnx", tmp_path / "copy"))
    path = copy / "model.json"
    del model["null_threshold"]
    sealed.write(path, model)
    assert open_answerer(copy / file.name).null_threshold == 0.0
    for wrong in ("high", True, None):
        sealed.write(path, model | {"null_threshold": wrong})
        with pytest.raises(UserError, match=r"model\.json: null_threshold is .* a valid number"):
            open_answerer(copy / file.name)
