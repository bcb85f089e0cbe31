# SPDX-License-Identifier: Apache-2.0
"""The Hub's form of an .onnx file: other inputs, the same weights and the same results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from export_fixtures import KINDS, batch, exported_onnx
from transformers.models.bert import BertConfig, BertForSequenceClassification

from converters import ConversionError
from converters.interface import CLASSES, INPUTS, SPANS
from converters.onnx import file as onnx_file
from converters.onnx.export import export_onnx
from converters.onnx.hub_form import write_hub_form
from converters.precisions import ONNX, ONNX_HUB_FILES
from converters.runtimes.onnx import OnnxPredictor, onnx_session

HUGGING_FACE = ("input_ids", "attention_mask", "token_type_ids")


def _run(path: Path, arrays: Any) -> list[Any]:
    """All outputs of a file in the Hub's form, fed as optimum feeds it."""
    session = onnx_session(path, 1, {"session.intra_op.allow_spinning": "0"})
    declared = [tensor.name for tensor in session.get_inputs()]
    feed = {
        name: array.astype(np.int64)
        for name, array in zip(HUGGING_FACE, arrays, strict=True)
        if name in declared
    }
    return list(session.run(None, feed))


def test_every_precision_has_a_name() -> None:
    assert ONNX_HUB_FILES.keys() == set(ONNX)
    assert len(set(ONNX_HUB_FILES.values())) == len(ONNX)


@pytest.mark.parametrize("precision", ONNX)
@pytest.mark.parametrize("kind", KINDS)
def test_results_are_bit_for_bit_those_of_our_file(
    kind: str, precision: str, tmp_path: Path
) -> None:
    ours = exported_onnx(kind)[precision]
    theirs = write_hub_form(ours, tmp_path / "onnx" / ONNX_HUB_FILES[precision])
    summary = onnx_file.describe(theirs)
    assert [tensor.name for tensor in summary.inputs] == list(
        HUGGING_FACE if kind == "bert" else HUGGING_FACE[:2]
    )
    assert {tensor.dtype for tensor in summary.inputs} == {"int64"}
    assert all(isinstance(dim, str) for tensor in summary.inputs for dim in tensor.dims)
    assert tuple(tensor.name for tensor in summary.outputs) == SPANS.names
    predictor = OnnxPredictor(ours)
    for rows, length in ((1, 5), (1, 384), (3, 64)):
        arrays = batch(rows, length)
        for mine, other in zip(predictor.run_batch(*arrays), _run(theirs, arrays), strict=True):
            assert np.array_equal(mine, other)


@pytest.mark.parametrize("precision", ONNX)
def test_weights_metadata_and_lowest_runtime_stay(precision: str, tmp_path: Path) -> None:
    ours = exported_onnx("bert")[precision]
    theirs = write_hub_form(ours, tmp_path / ONNX_HUB_FILES[precision])
    before, after = onnx.load(ours), onnx.load(theirs)
    assert list(before.graph.initializer) == list(after.graph.initializer)
    assert list(before.metadata_props) == list(after.metadata_props)
    assert before.ir_version == after.ir_version
    assert list(before.graph.node) == list(after.graph.node)[len(INPUTS) :]
    assert onnx_file.lowest_runtime(before) == onnx_file.lowest_runtime(after)
    again = write_hub_form(ours, tmp_path / "again.onnx")
    assert again.read_bytes() == theirs.read_bytes()


def test_a_classifier_keeps_its_own_outputs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}
    config = BertConfig(vocab_size=120, num_hidden_layers=2, num_labels=3, **sizes)
    ours = export_onnx(
        BertForSequenceClassification(config).eval(), tmp_path / "a.onnx", precision="fp32"
    )
    theirs = write_hub_form(ours, tmp_path / "model.onnx")
    assert tuple(tensor.name for tensor in onnx_file.describe(theirs).outputs) == CLASSES.names
    arrays = batch(2, 9)
    assert np.array_equal(OnnxPredictor(ours).run_batch(*arrays)[0], _run(theirs, arrays)[0])


def test_a_file_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    theirs = write_hub_form(exported_onnx("distilbert")["fp32"], tmp_path / "model.onnx")
    with pytest.raises(ConversionError, match="takes input_ids, attention_mask, not ids, mask"):
        write_hub_form(theirs, tmp_path / "again.onnx")
    with pytest.raises(ConversionError, match="cannot read"):
        write_hub_form(tmp_path / "absent.onnx", tmp_path / "again.onnx")
    assert not (tmp_path / "again.onnx").exists()
