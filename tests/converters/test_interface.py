# SPDX-License-Identifier: Apache-2.0
"""Interfaces and heads: every target runs a classifier as transformers does, by the same call.

The reference is transformers' own forward on a tiny random model. In float32 a file may differ from
it by the order of sums, 1e-5; in int8 by what rounding the weights of so small a model does, which
the tests of quantizing bound more closely.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from export_fixtures import POSITIONS, VOCABULARY, Window, tiny_model, window
from transformers.models.bert import BertConfig, BertForSequenceClassification
from transformers.models.distilbert import DistilBertConfig, DistilBertForSequenceClassification

from converters import ConversionError
from converters.coreml import graph as coreml_graph
from converters.coreml import program as coreml_program
from converters.coreml.export import export_coreml
from converters.interface import (
    CLASSES,
    MASK_BIAS,
    SPANS,
    interface_of,
    interface_of_class,
    labels_of,
)
from converters.onnx import check as onnx_check
from converters.onnx.export import export_onnx
from converters.runtimes.open import open_predictor
from converters.runtimes.weight_cache import CachedTfLitePredictor, start_runtime
from converters.tflite import check as tflite_check
from converters.tflite.export import export_tflite
from converters.tflite.metadata import About, add_metadata, read_metadata

LABELS = 3
KINDS = ("distilbert", "bert")


def classifier(kind: str) -> Any:
    """A tiny classifier of three classes with random weights, whose logits vary.

    It has one layer, since exporters take seconds for each.
    """
    torch.manual_seed(0)
    model: Any
    if kind == "bert":
        model = BertForSequenceClassification(
            BertConfig(
                vocab_size=VOCABULARY,
                num_hidden_layers=1,
                hidden_size=32,
                num_attention_heads=4,
                intermediate_size=64,
                num_labels=LABELS,
            )
        )
    else:
        model = DistilBertForSequenceClassification(
            DistilBertConfig(
                vocab_size=VOCABULARY,
                n_layers=1,
                dim=32,
                n_heads=4,
                hidden_dim=64,
                num_labels=LABELS,
            )
        )
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape), alpha=0.15)
    return model.eval()


def reference(model: Any, inputs: Window) -> np.ndarray:
    """Logits of transformers' own forward, float32 (C,)."""
    ids, mask, segment_ids = (torch.as_tensor(array, dtype=torch.int64) for array in inputs)
    segments = {"token_type_ids": segment_ids} if model.config.model_type == "bert" else {}
    with torch.no_grad():
        logits: np.ndarray = model(input_ids=ids, attention_mask=mask, **segments).logits[0].numpy()
    return logits


def check(file: Path, model: Any, tolerance: float, lengths: tuple[int, ...] = (5, 40, 17)) -> None:
    """Compares a file with its model, padded and not."""
    predictor = open_predictor(file)
    assert predictor.interface is CLASSES and predictor.max_length == POSITIONS
    for length in lengths:
        for padding in (0, length // 2):
            inputs = window(length, padding, seed=length)
            (found,) = predictor.run(*inputs)
            assert found.shape == (LABELS,)
            assert np.abs(found - reference(model, inputs)).max() < tolerance


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("int8", 0.1)])
def test_a_tflite_file_classifies_at_every_length(
    tmp_path: Path, kind: str, precision: str, tolerance: float
) -> None:
    model = classifier(kind)
    file = export_tflite(model, tmp_path / "classes.tflite", precision=precision)
    assert tflite_check.check_portable(file) == []
    check(file, model, tolerance)


def test_a_tflite_file_of_fixed_lengths_classifies(tmp_path: Path) -> None:
    model = classifier("distilbert")
    file = export_tflite(model, tmp_path / "c.tflite", precision="fp32", static_lengths=(16, 48))
    assert tflite_check.check_portable(file) == []
    predictor = open_predictor(file)
    for length in (3, 16, 30):
        inputs = window(length)
        assert np.abs(predictor.run(*inputs)[0] - reference(model, inputs)).max() < 1e-5


def test_a_tflite_classifier_runs_with_a_weight_cache(tmp_path: Path) -> None:
    model = classifier("distilbert")
    file = export_tflite(model, tmp_path / "c.tflite", precision="fp32")
    cached = CachedTfLitePredictor(file, tmp_path / "cache", start_runtime())
    for length in (9, 30):
        inputs = window(length)
        assert np.abs(cached.run(*inputs)[0] - reference(model, inputs)).max() < 1e-5


def test_the_metadata_of_a_tflite_classifier_names_its_outputs(tmp_path: Path) -> None:
    file = export_tflite(classifier("distilbert"), tmp_path / "c.tflite", precision="fp32")
    pieces = ["[CLS]", "[SEP]", "[UNK]", *(f"piece{n}" for n in range(VOCABULARY - 3))]
    (tmp_path / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces))
    add_metadata(file, tmp_path / "vocab.txt", About("name", "text", "1", "me", "Apache-2.0"))
    # The name that the Task Library looks up; the tensor itself keeps the name `logits`.
    assert read_metadata(file).outputs == (("probability", CLASSES.outputs[0].meaning),)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("int8", 0.1)])
def test_an_onnx_file_classifies_at_every_length_and_in_batches(
    tmp_path: Path, kind: str, precision: str, tolerance: float
) -> None:
    model = classifier(kind)
    file = export_onnx(model, tmp_path / "classes.onnx", precision=precision)
    assert onnx_check.check_portable(file) == []
    check(file, model, tolerance)
    rows = [window(21, padding, seed=padding) for padding in (0, 4, 9)]
    batch = [np.concatenate(arrays) for arrays in zip(*rows, strict=True)]
    predictor: Any = open_predictor(file)
    (found,) = predictor.run_batch(*batch)
    expected = np.stack([reference(model, row) for row in rows])
    assert np.abs(found - expected).max() < tolerance


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", coreml_graph.LAYOUTS)
def test_a_core_ml_package_classifies_at_every_length(
    tmp_path: Path, kind: str, layout: str
) -> None:
    model = classifier(kind)
    file = export_coreml(model, tmp_path / "classes.mlpackage", precision="fp32", layout=layout)
    program = coreml_program.CoreMlProgram(file)
    assert set(program.functions["main"].outputs) == set(CLASSES.names)
    check(file, model, 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_opens_with_the_head_that_it_names(tmp_path: Path, kind: str) -> None:
    model = classifier(kind)
    model.save_pretrained(tmp_path)
    check(tmp_path, model, 1e-6)


def test_a_folder_without_a_head_is_refused(tmp_path: Path) -> None:
    classifier("distilbert").distilbert.save_pretrained(tmp_path)
    with pytest.raises(ConversionError, match=f"{tmp_path} holds DistilBertModel, .* no head"):
        open_predictor(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"architectures": None}))
    with pytest.raises(ConversionError, match=f"{tmp_path} holds a model of no named class"):
        open_predictor(tmp_path)


def test_interfaces_are_told_by_the_names_of_outputs() -> None:
    assert interface_of(["end_logits", "start_logits"]) is SPANS
    assert interface_of(["logits"]) is CLASSES
    assert interface_of(["logits", "start_logits"]) is None
    assert interface_of_class("BertForSequenceClassification") is CLASSES
    expected = r"^BertForMaskedLM, which has no head.*ForQuestionAnswering"
    with pytest.raises(ConversionError, match=expected):
        interface_of_class("BertForMaskedLM")


def test_names_of_classes_are_those_that_somebody_gave() -> None:
    model = classifier("distilbert")
    assert labels_of(model) == ()
    model.config.id2label = {0: "no", 1: "may\nbe", 2: "yes"}
    assert labels_of(model) == ("no", "may be", "yes")
    assert labels_of(tiny_model("bert", id2label={0: "start", 1: "end"})) == ()


def test_rows_are_cut_and_masked_by_axis() -> None:
    start, end = SPANS.row([np.arange(8.0).reshape(1, 8), np.ones((1, 8))], 3)
    assert start.tolist() == [0, 1, 2] and end.dtype == np.float32
    masked, _ = SPANS.masked((start, end), np.array([[1, 1, 0]], np.int32))
    assert masked.tolist() == [0, 1, 2 + MASK_BIAS]
    (classes,) = CLASSES.row([np.arange(5.0).reshape(1, 5)], 3)
    assert CLASSES.masked((classes,), np.array([[1, 0, 0]], np.int32))[0].tolist() == [
        0,
        1,
        2,
        3,
        4,
    ]
