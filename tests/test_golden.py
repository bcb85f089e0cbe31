# SPDX-License-Identifier: Apache-2.0
"""The golden files of the Android app say what this code does today."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from golden import make_golden

ROOT = Path(__file__).parents[1]
MEND = "run python -m tests.golden.make_golden, then make android-test"


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


@pytest.mark.parametrize("name", ["tokenizer.json.gz", "answers.json.gz", "figures.json.gz"])
def test_golden_file_is_current(name: str, documents: dict[str, dict[str, Any]]) -> None:
    # Not ==, whose explanation of a difference in a million numbers would never end.
    same = make_golden.read(name) == documents[name]
    assert same, f"tests/golden/{name} is not what Python computes: {MEND}"


def test_starts_of_the_app_are_current() -> None:
    written = json.loads((make_golden.FOLDER / "android_start.json").read_text("utf-8"))
    assert written == make_golden.start_document(), MEND


def test_golden_files_are_many_and_small(documents: dict[str, dict[str, Any]]) -> None:
    assert len(set(documents["tokenizer.json.gz"]["texts"])) >= 3000
    cases = documents["answers.json.gz"]["cases"]
    lengths = [len(case["context"].split()) for case in cases]
    assert len(cases) >= 500 and min(lengths) == 0 and max(lengths) >= 5000
    assert sum(case["answer"]["text"] != "" for case in cases) > len(cases) / 2
    assert sum(path.stat().st_size for path in make_golden.FOLDER.glob("*.gz")) < 2_000_000
