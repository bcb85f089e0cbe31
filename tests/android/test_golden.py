# SPDX-License-Identifier: Apache-2.0
"""The golden files of the Android app say what this code does today."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from types import ModuleType
from typing import Any

import pytest
from contract import classes, make_golden, tiny
from repository import ROOT

from converters.runtimes.checksums import sha256
from converters.runtimes.open import open_predictor
from converters.tflite import file as tflite_file
from converters.tflite import versions as tflite_versions
from pipeline.tasks.question_answering.evaluate import Answerer
from pipeline.tasks.text_classification.evaluate import Classifier

MEND = "run PYTHONPATH=tests/support python -m tests.contract.make_golden, then make android-test"


@pytest.fixture(scope="module")
def make_characters() -> ModuleType:
    path = ROOT / "android_demo" / "core" / "make_characters.py"
    spec = importlib.util.spec_from_file_location("make_characters", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_characters_are_those_of_the_tokenizer(make_characters: ModuleType) -> None:
    written = make_characters.TABLES.read_text(encoding="utf-8")
    assert written == make_characters.tables(), f"run {make_characters.__file__}"


@pytest.fixture(scope="module")
def documents() -> dict[str, dict[str, Any]]:
    return make_golden.documents()


@pytest.mark.parametrize(
    "name",
    [
        "tokenizer.json.gz",
        "added.json.gz",
        "answers.json.gz",
        "search.json.gz",
        "classes.json.gz",
        "figures.json.gz",
    ],
)
def test_golden_file_is_current(name: str, documents: dict[str, dict[str, Any]]) -> None:
    # Not ==, whose explanation of a difference in a million numbers would never end.
    same = make_golden.read(name) == documents[name]
    assert same, f"tests/contract/{name} is not what Python computes: {MEND}"


def test_starts_of_the_app_are_current() -> None:
    written = json.loads((make_golden.FOLDER / "android_start.json").read_text("utf-8"))
    assert written == make_golden.start_document(), MEND


def test_golden_files_are_many_and_small(documents: dict[str, dict[str, Any]]) -> None:
    assert len(set(documents["tokenizer.json.gz"]["texts"])) >= 3000
    added = documents["added.json.gz"]
    assert len(added["texts"]) >= 500
    for one in added["tokenizers"]:
        found = one["description"]
        entries = {
            entry["id"]: entry
            for entry in found["added"]
            if not (found["split_special"] and entry["special"])
        }
        times = Counter(place for ids, _ in one["pieces"] for place in ids if place in entries)
        # But those that begin in another one: a longer one, or one that comes first.
        assert len(times) >= len(entries) - 6 and times.total() > 500, one["name"]
        for flag in ("lstrip", "rstrip", "single_word", "normalized", "word_piece"):
            assert len({entries[place][flag] for place in times}) == 2, (one["name"], flag)
    cases = documents["answers.json.gz"]["cases"]
    lengths = [len(case["context"].split()) for case in cases]
    assert len(cases) >= 500 and min(lengths) == 0 and max(lengths) >= 5000
    assert sum(case["answer"]["text"] != "" for case in cases) > len(cases) / 2
    # A model that may not abstain answers below any score, but no question without word pieces.
    searched = documents["search.json.gz"]["cases"]
    low = [c for c in searched if not c["may_abstain"] and c["candidates"] and c["answer"]["end"]]
    assert sum(c["answer"]["score"] < -1 for c in low) > 20
    silent = [c for c in searched if not c["question"].strip()]
    assert len(silent) > 10 and not any(c["answer"]["end"] for c in silent)
    assert sum(path.stat().st_size for path in make_golden.FOLDER.glob("*.gz")) < 2_000_000


@pytest.mark.parametrize("name", ["tiny", "tiny-static"])
def test_tiny_build_is_whole_and_answers_as_it_says(name: str) -> None:
    folder = make_golden.FOLDER / name
    model, golden = (
        json.loads((folder / file).read_text(encoding="utf-8"))
        for file in ("model.json", "golden.json")
    )
    tokenizer = make_golden.tiny_tokenizer()
    assert len(tokenizer) == model["tokenizer"]["size"] == tiny.PIECES
    assert sha256(folder / "vocab.txt") == model["tokenizer"]["sha256"]
    for file in model["files"].values():
        path = folder / file["path"]
        assert (path.stat().st_size, sha256(path)) == (file["bytes"], file["sha256"])
        answerer = Answerer(open_predictor(path), tokenizer, tiny.LIMITS)
        for case in golden["cases"]:
            expected = case["answers"][path.name]
            answer = answerer.answer(case["question"], case["context"])
            # Int8 kernels round differently from one processor to the next.
            assert answer.score == pytest.approx(expected["score"], abs=0.3), MEND
            assert answer.windows == case["window_count"]


@pytest.mark.parametrize("name", ["tiny-classes", "tiny-number"])
def test_tiny_classifier_is_whole_and_predicts_as_it_says(name: str) -> None:
    folder = make_golden.FOLDER / name
    model, golden = (
        json.loads((folder / file).read_text(encoding="utf-8"))
        for file in ("model.json", "golden.json")
    )
    traits = {"tiny-classes": classes.CLASSES_TRAITS, "tiny-number": classes.NUMBER_TRAITS}[name]
    assert model["labels"] == list(traits["labels"]) and model["pair"] == traits["pair"]
    tokenizer = make_golden.tiny_tokenizer()
    assert sha256(folder / "vocab.txt") == model["tokenizer"]["sha256"]
    for file in model["files"].values():
        path = folder / file["path"]
        assert (path.stat().st_size, sha256(path)) == (file["bytes"], file["sha256"])
        predictor = open_predictor(path)
        classifier = Classifier(predictor, tokenizer, model["limits"]["max_length"], traits)
        for case in golden["cases"]:
            reading = classifier.run(case["text"], case.get("pair"))
            assert reading.inputs[0].ids.tolist() == case["ids"]
            # Int8 kernels round differently from one processor to the next.
            expected = case["answers"][path.name]["logits"]
            assert reading.outputs[0][0].tolist() == pytest.approx(expected, abs=0.3), MEND
    if name == "tiny-classes":
        labels = {
            answer["label"] for case in golden["cases"] for answer in case["answers"].values()
        }
        assert labels == set(classes.LABELS)


def test_tiny_builds_are_small() -> None:
    paths = [path for path in make_golden.FOLDER.glob("tiny*/*") if path.is_file()]
    assert 0 < sum(path.stat().st_size for path in paths) < 600_000


def test_misread_file_hides_what_it_needs() -> None:
    found = tflite_file.read(make_golden.FOLDER / "tiny" / f"student-{tiny.MISREAD}.tflite")
    codes = {tflite_file.code_name(code): code.version for code in found.operatorCodes}
    stated = max(
        tflite_versions.order(tflite_versions._RELEASES[name][max(version, 1) - 1])
        for name, version in codes.items()
    )
    # By its versions 2.16 would do; by its types it must not.
    assert stated <= (2, 16, 0)
    assert tflite_versions.order(tflite_versions.lowest_runtime(found).tensorflow) > (2, 16, 2)
