# SPDX-License-Identifier: Apache-2.0
"""What lies beside the files on a phone: right by itself, and right for the files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from conftest import POSITIONS, MakeTeacher
from span_files import write_golden, write_model_json
from transformers import AutoTokenizer

from converters.precisions import TFLITE
from converters.runtimes.open import open_predictor
from pipeline import __version__
from pipeline.errors import UserError
from pipeline.files import export
from pipeline.files.targets import FileFacts, TfLite, format_of
from pipeline.files.tokenizer import describe_tokenizer
from pipeline.tasks.question_answering.evaluate import Answerer
from pipeline.tasks.question_answering.features import Limits
from pipeline.tasks.question_answering.golden import UNUSUAL
from pipeline.tasks.question_answering.squad import Question


@pytest.fixture(scope="module")
def document(tiny_export: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tiny_export / "model.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def golden(tiny_export: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tiny_export / "golden.json").read_text(encoding="utf-8"))
    return found


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_folder_holds_what_an_app_needs_and_nothing_else(tiny_export: Path) -> None:
    assert {path.name for path in tiny_export.iterdir()} == {
        *("student-int8.tflite", "student-fp32.tflite"),
        *("vocab.txt", "model.json", "golden.json"),
    }


def test_model_json_describes_the_files(tiny_export: Path, document: dict[str, Any]) -> None:
    assert document["schema_version"] == 3
    assert document["made_by"] == f"pipeline {__version__}"
    assert document["default"] == "student-int8.tflite", "the first precision asked for"
    assert list(document["files"]) == ["int8", "fp32"]
    for entry in document["files"].values():
        path = tiny_export / entry["path"]
        assert entry == {
            "path": path.name,
            "bytes": path.stat().st_size,
            "sha256": digest(path),
            "min_runtime": format_of(path).describe(path).min_runtime,
            "faults": format_of(path).describe(path).faults,
            "for": TFLITE[path.stem.removeprefix("student-")],
        }
    assert document["signature"] == "answer"
    assert [entry["name"] for entry in document["inputs"]] == ["ids", "mask", "segment_ids"]
    assert {entry["dtype"] for entry in document["inputs"]} == {"int32"}
    assert [entry["name"] for entry in document["outputs"]] == ["start_logits", "end_logits"]
    assert {entry["dtype"] for entry in document["outputs"]} == {"float32"}
    note = document["lengths"].pop("note")
    assert note.startswith("LiteRT.js") and "--static-lengths" in note
    assert document["lengths"] == {"default": 48, "min": 1, "max": POSITIONS, "static": []}
    assert document["limits"] == {
        "max_length": 48,
        "stride": 16,
        "max_query": 12,
        "max_answer": 8,
        "n_best": 20,
    }
    assert document["may_abstain"] is False
    assert (tiny_export / document["golden"]).is_file()


def test_description_fits_what_the_runtime_says_of_the_file(
    tiny_export: Path, document: dict[str, Any]
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    for entry in document["files"].values():
        interpreter = Interpreter(model_path=str(tiny_export / entry["path"]))
        runner = interpreter.get_signature_runner(document["signature"])
        for described, details in (
            (document["inputs"], runner.get_input_details()),
            (document["outputs"], runner.get_output_details()),
        ):
            assert {i["name"] for i in described} == set(details)
            for tensor in described:
                assert np.dtype(tensor["dtype"]) == details[tensor["name"]]["dtype"]
        assert open_predictor(tiny_export / entry["path"]).max_length == document["lengths"]["max"]


def test_line_of_the_vocabulary_is_the_id(
    tiny_export: Path, document: dict[str, Any], tokenizer: Any
) -> None:
    lines = (tiny_export / "vocab.txt").read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    assert len(lines) == document["tokenizer"]["size"] == len(tokenizer)
    assert lines == tokenizer.convert_ids_to_tokens(list(range(len(lines))))
    assert document["tokenizer"]["file"] == "vocab.txt"
    assert document["tokenizer"]["sha256"] == digest(tiny_export / "vocab.txt")


def test_description_of_the_tokenizer(document: dict[str, Any]) -> None:
    described = document["tokenizer"]
    assert described["type"] == "wordpiece" and described["continuation"] == "##"
    assert described["max_word_characters"] == 100
    assert [described[n] for n in ("lower_case", "strip_accents", "split_cjk", "clean_text")] == [
        *(True, True, True, True)
    ]
    assert described["special"] == {
        "pad": {"piece": "[PAD]", "id": 0},
        "unknown": {"piece": "[UNK]", "id": 1},
        "cls": {"piece": "[CLS]", "id": 2},
        "sep": {"piece": "[SEP]", "id": 3},
        "mask": {"piece": "[MASK]", "id": 4},
    }
    assert described["added"] == [], "the five special pieces are BERT's"


@pytest.mark.parametrize("strip", [None, False, True])
@pytest.mark.parametrize("cased", [False, True])
def test_accents_go_with_the_case_unless_told_otherwise(
    make_teacher: MakeTeacher, cased: bool, strip: bool | None
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(make_teacher(cased=cased), strip_accents=strip)
    described = describe_tokenizer(tokenizer)
    pieces = tokenizer.tokenize("É")
    assert described["lower_case"] is not cased
    assert described["strip_accents"] is (not cased if strip is None else strip)
    expected = "e" if described["lower_case"] else "E"
    if described["strip_accents"]:
        assert pieces == [expected]
    else:
        assert pieces in (["é"], ["[UNK]"])


def write(folder: Path, tokenizer: Any) -> None:
    file = folder / "student-int8.tflite"
    vocabulary = export.write_vocabulary(folder, tokenizer)
    with patch.object(TfLite, "describe", return_value=FileFacts(1, "ab", {})):
        write_model_json(
            vocabulary, {"int8": file}, tokenizer, Limits(), max_positions=64, may_abstain=True
        )


def test_students_that_may_abstain_are_described_so(tmp_path: Path, tokenizer: Any) -> None:
    write(tmp_path, tokenizer)
    assert json.loads((tmp_path / "model.json").read_text())["may_abstain"] is True


def test_tokenizers_that_an_app_could_not_follow_are_refused(
    tmp_path: Path, tiny_teacher: Path
) -> None:
    from tokenizers import normalizers

    tokenizer = AutoTokenizer.from_pretrained(tiny_teacher)
    tokenizer.backend_tokenizer.normalizer = normalizers.NFKC()
    with pytest.raises(UserError, match="NFKC"):
        write(tmp_path, tokenizer)

    class Gaps:
        def get_vocab(self) -> dict[str, int]:
            return {"[PAD]": 0, "a": 2}

    with pytest.raises(UserError, match="vocab"):
        write(tmp_path, Gaps())


# Golden cases


def test_golden_cases_cover_what_goes_wrong(golden: dict[str, Any]) -> None:
    assert golden["schema_version"] == 2 and golden["offsets"] == "Unicode code points"
    cases = golden["cases"]
    assert len(cases) == 3 + len(UNUSUAL) + 2
    contexts = [case["context"] for case in cases]
    assert "" in contexts, "an empty passage"
    assert any(ord(c) > 0xFFFF for context in contexts for c in context), "outside the BMP"
    assert max(case["window_count"] for case in cases) > 1, "a passage of several windows"
    for case in cases:
        assert case["answers"].keys() == {"student-int8.tflite", "student-fp32.tflite"}


def test_golden_windows_and_answers_hold_together(golden: dict[str, Any], tokenizer: Any) -> None:
    for case in golden["cases"]:
        (window,) = case["windows"]
        ids, context = window["ids"], case["context"]
        assert ids[0] == tokenizer.cls_token_id and ids[-1] == tokenizer.sep_token_id
        assert ids[window["first"] - 1] == tokenizer.sep_token_id
        assert window["first"] + len(window["offsets"]) == len(ids) - 1
        assert all(0 <= a < b <= len(context) for a, b in window["offsets"])
        for answer in case["answers"].values():
            assert answer["text"] == context[answer["start"] : answer["end"]]
            assert len(answer["start_logits"]) == len(answer["end_logits"]) == len(ids)


def test_golden_ids_are_those_of_transformers(golden: dict[str, Any], tokenizer: Any) -> None:
    for case in golden["cases"]:
        encoding = tokenizer(
            case["question"],
            case["context"],
            truncation="only_second",
            max_length=48,
            return_offsets_mapping=True,
        )
        if len(tokenizer.tokenize(case["question"])) > 12:
            continue  # transformers cuts the passage instead of the question
        window = case["windows"][0]
        if not case["context"]:  # transformers takes the question alone then
            assert window["ids"] == [*encoding["input_ids"], tokenizer.sep_token_id]
            continue
        assert window["ids"] == encoding["input_ids"]
        offsets = encoding["offset_mapping"][window["first"] : -1]
        assert [tuple(pair) for pair in window["offsets"]] == offsets


def test_golden_cases_run_again_give_the_same(
    tiny_export: Path, golden: dict[str, Any], document: dict[str, Any], tokenizer: Any
) -> None:
    limits = Limits(**document["limits"])
    for entry in document["files"].values():
        answerer = Answerer(open_predictor(tiny_export / entry["path"]), tokenizer, limits)
        for case in golden["cases"]:
            expected = case["answers"][entry["path"]]
            reading = answerer.run(case["question"], case["context"])
            answer = reading.prediction
            assert (answer.text, answer.start, answer.end) == (
                *(expected["text"], expected["start"], expected["end"]),
            )
            assert answer.windows == case["window_count"]
            # rounded to four places
            assert answer.score == pytest.approx(expected["score"], abs=1e-4)
            for logits, kept in zip(
                reading.outputs[0],
                (expected["start_logits"], expected["end_logits"]),
                strict=True,
            ):
                assert np.abs(logits - np.array(kept, np.float32)).max() < 1e-4


def test_golden_answers_are_not_all_alike(golden: dict[str, Any]) -> None:
    assert len({case["answers"]["student-fp32.tflite"]["text"] for case in golden["cases"]}) > 3


@pytest.mark.parametrize(("there", "count", "expected"), [(10, 3, 3), (2, 24, 2), (24, 24, 24)])
def test_cases_are_drawn_evenly(
    tmp_path: Path, tokenizer: Any, there: int, count: int, expected: int
) -> None:
    class Flat:
        def run(self, ids: Any, mask: Any, segment_ids: Any) -> Any:
            return np.zeros(ids.shape[1], np.float32), np.zeros(ids.shape[1], np.float32)

    questions = [Question(str(i), "", f"old city {i}", "who?", (), ()) for i in range(there)]
    limits = Limits(max_length=48, stride=16, max_query=12)
    told = write_golden(tmp_path, {"a": Flat()}, tokenizer, limits, questions, count)
    cases = json.loads((tmp_path / "golden.json").read_text())["cases"]
    drawn = [case["context"] for case in cases[:expected]]
    assert told == len(cases) == expected + len(UNUSUAL) + 2
    step = max(1, there // count)
    assert drawn == [f"old city {i * step}" for i in range(expected)]
