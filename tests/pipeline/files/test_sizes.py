# SPDX-License-Identifier: Apache-2.0
"""The sizes that `pipeline.check` says, against real files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from model_folders import model
from transformers import BertForQuestionAnswering, DistilBertForQuestionAnswering

from converters.precisions import PRECISIONS
from pipeline import check, settings
from pipeline.config import FilePrecision, Target
from pipeline.files import export
from pipeline.files.targets import FORMATS, Request
from pipeline.models.heads import SPAN_HEAD
from pipeline.models.origin import Origin
from pipeline.models.teacher import find_student, load_for_task, load_tokenizer

TOLERANCE = 0.1  # what the word "about" allows

WIDE = {"dim": 256, "n_heads": 4, "hidden_dim": 1024}
WIDE_BERT = {"hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024}


@pytest.mark.parametrize(
    ("target", "kind", "precision"),
    [
        pytest.param("tflite", "distilbert", "int8", id="tflite-int8"),
        pytest.param("tflite", "distilbert", "all", id="tflite", marks=pytest.mark.long),
        pytest.param("onnx", "bert", "all", id="onnx", marks=pytest.mark.long),
        pytest.param("coreml", "distilbert", "all", id="coreml", marks=pytest.mark.long),
    ],
)
def test_files_have_about_the_size_that_was_said(
    target: Target, kind: str, precision: FilePrecision, tmp_path: Path
) -> None:
    """A student with 1.7 million parameters."""
    pytest.importorskip({"tflite": "litert_torch", "coreml": "coremltools"}.get(target, target))
    made = (
        model(BertForQuestionAnswering, **WIDE_BERT)
        if kind == "bert"
        else model(DistilBertForQuestionAnswering, **WIDE)
    )
    made(tmp_path / "mine")
    plan = check.examine(str(tmp_path / "mine"))["as"]["student"]
    source = find_student(str(tmp_path / "mine"), SPAN_HEAD, 2)
    whole = load_for_task(source, SPAN_HEAD, 2)
    assert plan["parameters"] == sum(weight.numel() for weight in whole.parameters())
    build = settings.load("smoke")
    build = replace(build, export=replace(build.export, target=(target,), precision=(precision,)))
    build = replace(build, data=replace(build.data, max_length=64))
    vocabulary = export.write_vocabulary(tmp_path, load_tokenizer(source.folder))
    files = FORMATS[target].make(Request(whole, tmp_path, build, vocabulary, Origin("")))
    assert set(files) == set(PRECISIONS[target] if precision == "all" else [precision])
    for name, path in files.items():
        real, said = FORMATS[target].describe(path).bytes, plan["bytes_about"][target][name]
        assert abs(said - real) <= TOLERANCE * real, (name, said, real)
