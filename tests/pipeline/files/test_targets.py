# SPDX-License-Identifier: Apache-2.0
"""What the build knows of its formats is what the converters know."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, get_args

import pytest

from converters import ConversionError
from converters.precisions import PRECISIONS
from pipeline.config import Export, FilePrecision, Target
from pipeline.files.targets import FORMATS, format_of, license_of, precision_of


@pytest.mark.parametrize("target", get_args(Target))
def test_settings_name_the_targets_and_precisions_of_the_table(target: Target) -> None:
    assert set(PRECISIONS) == set(get_args(Target))
    assert set(PRECISIONS[target]) <= set(get_args(FilePrecision))
    assert set(get_args(FilePrecision)) == {name for each in PRECISIONS.values() for name in each}


def test_paths_say_target_and_precision() -> None:
    for target, precisions in PRECISIONS.items():
        for precision in precisions:
            path = FORMATS[target].path(Path("build"), precision)  # type: ignore[index]
            assert (format_of(path).name, precision_of(path)) == (target, precision)


@pytest.mark.parametrize(
    ("target", "precision", "files"),
    [
        (("tflite",), ("int8",), {"tflite": ("int8",)}),
        (("onnx", "tflite"), ("int4", "int8"), {"tflite": ("int4", "int8"), "onnx": ("int8",)}),
        (("all",), ("palette6",), {"tflite": (), "coreml": ("palette6",), "onnx": ()}),
        (("coreml", "all"), ("all",), {target: tuple(each) for target, each in PRECISIONS.items()}),
    ],
)
def test_each_target_makes_what_it_has(target: Any, precision: Any, files: Any) -> None:
    assert Export(target=target, precision=precision).files == files


def test_a_missing_library_is_told_before_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    FORMATS["onnx"].require()
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxscript" else found(name)
    )
    with pytest.raises(ConversionError, match=r"--target onnx needs onnxscript: pip install"):
        FORMATS["onnx"].require()


def test_a_license_is_claimed_only_where_it_is_known() -> None:
    assert license_of("embedded", "") == "Apache-2.0"
    assert license_of("google-bert/bert-base-uncased", "") == "Apache-2.0"
    assert license_of("somebody/bert", "") == ""
    assert license_of("somebody/bert", "MIT") == license_of("embedded", "MIT")
