# SPDX-License-Identifier: Apache-2.0
"""Exported .onnx files agree with PyTorch for every batch and length, whole, small and quiet."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from export_fixtures import (
    KINDS,
    POSITIONS,
    Window,
    batch,
    exported_onnx,
    hugging_face_logits,
    tiny_model,
    window,
)
from repository import ROOT

from converters import ConversionError
from converters.interface import INPUTS, MASK_BIAS, SPANS
from converters.onnx import file as onnx_file
from converters.onnx.check import check_portable
from converters.onnx.export import export_many, export_onnx
from converters.precisions import ONNX

# Largest error on logits of about 0.7, twice to three times what was measured (2e-6, 5e-3, 0.06).
# At dimension 32 a sum averages out little of the rounding: real models do better.
TOLERANCES = {"fp32": 1e-5, "fp16": 1.5e-2, "int8": 0.15}


def runner(path: Path) -> Callable[[Window], np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(inputs: Window) -> np.ndarray:
        return np.concatenate(session.run(SPANS.names, dict(zip(INPUTS, inputs, strict=True))))

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_float_file_agrees_for_every_batch_and_length(kind: str) -> None:
    run, model = runner(exported_onnx(kind)["fp32"]), tiny_model(kind)
    for rows in range(1, 9):
        for length in (1, 8, 17, 63, 64, 200, 384, POSITIONS):
            inputs = batch(rows, length)
            real = np.concatenate([inputs[1], inputs[1]]) == 1
            error = np.abs(run(inputs) - hugging_face_logits(model, inputs))[real].max()
            assert error < TOLERANCES["fp32"], (rows, length)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ONNX)
def test_every_precision_agrees(kind: str, precision: str) -> None:
    run, model = runner(exported_onnx(kind)[precision]), tiny_model(kind)
    for rows, length in ((1, 384), (8, 7), (1, POSITIONS), (1, 1), (3, 40)):
        inputs = batch(rows, length)
        real = np.concatenate([inputs[1], inputs[1]]) == 1
        ours, theirs = run(inputs), hugging_face_logits(model, inputs)
        assert ours.dtype == np.float32
        assert np.abs(ours - theirs)[real].max() < TOLERANCES[precision]
        if length >= 384:  # and the answer's neighborhood survives: logits still move together
            assert np.corrcoef(ours[real], theirs[real])[0, 1] > 0.98


def test_int8_products_saturate_on_no_processor(tmp_path: Path) -> None:
    """x86 without VNNI adds pairs of byte products in 16 bits; no pair of ours can overflow them.

    The proof is arithmetic, so that it holds whatever processor runs the test.
    """
    model = tiny_model("distilbert")
    with torch.no_grad():  # neighbors as large as each other, and pairs that end in a half
        layer = model.distilbert.transformer.layer[0]
        layer.attention.q_lin.weight.fill_(0.5)
        layer.ffn.lin1.weight[:] = torch.linspace(-1, 1, layer.ffn.lin1.weight.numel()).view_as(
            layer.ffn.lin1.weight
        )
        layer.ffn.lin2.weight[:, 1::2] = 1 - layer.ffn.lin2.weight[:, ::2]
    path = export_onnx(model, tmp_path / "large.onnx", precision="int8")
    graph = onnx.load(path).graph
    weights = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    layers = [node.input[1] for node in graph.node if node.op_type == "MatMulInteger"]
    assert len(layers) == 6 * 2
    for name in layers:
        columns = weights[name].astype(np.int64)  # (in, out)
        for byte in (1, 255):  # the least and the most that an input can be
            for sign in (np.maximum, np.minimum):
                one_sign = sign(columns, 0) * byte
                sums = one_sign[::2] + one_sign[1::2]
                assert sums.min() >= -(2**15) and sums.max() < 2**15, name
        assert np.abs(columns).max() >= 64  # no more of the byte is given away than is needed
    assert check_portable(path) == []
    inputs = window(40)
    error = np.abs(runner(path)(inputs) - hugging_face_logits(model, inputs)).max()
    assert error < TOLERANCES["int8"]


def test_saturating_file_is_no_portable_file(tmp_path: Path) -> None:
    """The check fails where it must: with weights as the usual quantizers make them."""
    model = onnx.load(exported_onnx("distilbert")["int8"])
    name = next(node.input[1] for node in model.graph.node if node.op_type == "MatMulInteger")
    weight = next(each for each in model.graph.initializer if each.name == name)
    full = onnx.numpy_helper.to_array(weight).copy()
    full[:2, 0] = 127, 2
    weight.CopyFrom(onnx.numpy_helper.from_array(full, name))
    onnx.save(model, tmp_path / "saturating.onnx")
    (problem,) = check_portable(tmp_path / "saturating.onnx")
    assert name in problem and "saturate" in problem


def test_biases_of_zero_are_no_obstacle(tmp_path: Path) -> None:
    """The exporter leaves them out, as in a model that was never trained."""
    model = tiny_model("distilbert")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("lin.bias"):
                weight.zero_()
    inputs = window(40)
    expected = hugging_face_logits(model, inputs)
    for precision, path in export_many(model, tmp_path, ONNX).items():
        assert np.abs(runner(path)(inputs) - expected).max() < TOLERANCES[precision]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ONNX)
def test_padding_and_other_rows_change_nothing_and_never_win(kind: str, precision: str) -> None:
    run = runner(exported_onnx(kind)[precision])
    inputs = batch(4, 100)
    together = run(inputs).reshape(2, 4, 100)
    # Inputs of layers are quantized token by token, so that others move a token by float rounding
    # only; that may still tip a value over to the next of 255 steps.
    tolerance = {"fp32": 1e-5, "fp16": 5e-3, "int8": 0.05}[precision]
    for row in range(4):
        length = int(inputs[1][row].sum())
        natural = run(tuple(array[row : row + 1, :length] for array in inputs))  # type: ignore[arg-type]
        assert np.abs(together[:, row, :length] - natural).max() < tolerance
        assert (together[:, row, length:] < MASK_BIAS / 2).all()
    assert np.isfinite(together).all()


def test_segments_matter_to_bert_only() -> None:
    ids, mask, segment_ids = window(40)
    for kind, expected in (("bert", True), ("distilbert", False)):
        run = runner(exported_onnx(kind)["fp32"])
        difference = np.abs(run((ids, mask, segment_ids)) - run((ids, mask, 0 * mask))).max()
        assert (difference > 1e-3) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ONNX)
def test_one_file_with_our_interface(kind: str, precision: str) -> None:
    path = exported_onnx(kind)[precision]
    found = onnx_file.describe(path)
    for tensors, names, dtype in (
        (found.inputs, INPUTS, "int32"),
        (found.outputs, SPANS.names, "float32"),
    ):
        assert tensors == tuple(
            onnx_file.TensorSummary(name, dtype, ("batch", "length")) for name in names
        )
    assert (found.ir_version, found.opsets) == (8, {"": 18})
    assert {use.domain for use in found.operators} == {""}
    assert found.metadata == {
        "max_length": "512",
        "precision": precision,
        "opset": "18",
        "ir_version": "8",
        "lowest_onnxruntime": "1.14",
    }
    assert all(weight.inside for weight in found.weights)
    assert len(list(path.parent.iterdir())) == len(ONNX)
    data = path.read_bytes()  # nothing of the machine that exported it
    for trace in (b"stack_trace", b"pkg.torch", b".py", str(ROOT).encode()):
        assert trace not in data


def test_files_are_as_small_as_their_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = tiny_model("bert", vocab_size=20_000, hidden_size=128, intermediate_size=512)
    sizes = {name: path.stat().st_size for name, path in export_many(model, tmp_path, ONNX).items()}
    tables = [w for name, w in model.named_parameters() if "embeddings." in name and w.ndim == 2]
    layers = [
        w for name, w in model.named_parameters() if "embeddings." not in name and w.ndim == 2
    ]
    vectors = sum(weight.numel() for weight in model.parameters() if weight.ndim == 1)
    entries = sum(weight.numel() for weight in (*tables, *layers))
    scales = sum(w.shape[1] for w in tables) + sum(w.shape[0] for w in layers)
    needed = {
        "fp32": 4 * (entries + vectors),
        "fp16": 2 * (entries + vectors),
        "int8": entries + 4 * (vectors + scales),
    }
    for precision, size in sizes.items():
        assert size < 1.02 * needed[precision], precision


@pytest.mark.parametrize("activation", ["gelu", "gelu_new"])
def test_runtime_merges_what_it_can(activation: str, tmp_path: Path) -> None:
    """Figures of speed rest on these merges; a new exporter or graph could silently lose them."""
    layers = 2
    files = export_many(tiny_model("distilbert", activation=activation), tmp_path, ["fp32", "int8"])
    merged = {}
    for precision, path in files.items():
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / "merged.onnx")
        options.log_severity_level = 3  # it warns that such a file is for this machine
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        graph = onnx.load(tmp_path / "merged.onnx").graph
        merged[precision] = Counter(node.op_type for node in graph.node)
    for counts in merged.values():
        if activation == "gelu":
            assert counts["Gelu"] + counts["BiasGelu"] == layers and counts["Erf"] == 0
        else:
            assert counts["FastGelu"] == layers and counts["Tanh"] == 0
        assert counts["LayerNormalization"] == 2 * layers + 1
        # It replaces a sum and a LayerNormalization and takes 7 times as long as both.
        assert counts["SkipLayerNormalization"] == 0
    assert merged["fp32"]["Gemm"] == 6 * layers + 1
    assert merged["int8"]["MatMulIntegerToFloat"] == 6 * layers and merged["int8"]["Gemm"] == 1


def test_same_model_same_bytes(tmp_path: Path) -> None:
    again = export_many(tiny_model("distilbert"), tmp_path, ["int8", "fp32", "int8"])
    assert list(again) == ["int8", "fp32"]
    assert [path.name for path in again.values()] == ["student-int8.onnx", "student-fp32.onnx"]
    for precision, path in again.items():
        first = exported_onnx("distilbert")[precision]
        assert hashlib.sha256(path.read_bytes()).digest() == (
            hashlib.sha256(first.read_bytes()).digest()
        )
    assert sorted(tmp_path.iterdir()) == sorted(again.values())  # nothing temporary left


def test_one_file_of_few_positions_and_no_noise(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = tiny_model("distilbert", max_position_embeddings=16)
    path = export_onnx(model, tmp_path / "deep" / "answer.onnx", precision="fp32")
    assert capfd.readouterr() == ("", "")
    assert onnx_file.describe(path).metadata["max_length"] == "16"
    inputs = window(16)
    assert np.abs(runner(path)(inputs) - hugging_face_logits(model, inputs)).max() < 1e-5


def test_refuses_what_it_cannot_export(tmp_path: Path) -> None:
    model = tiny_model("distilbert")
    with pytest.raises(ConversionError, match=r"'int4'.*int8, fp32, fp16"):
        export_many(model, tmp_path, ["fp32", "int4"])
    with torch.no_grad():
        model.distilbert.transformer.layer[0].ffn.lin1.weight[0, 0] = 1e5
    with pytest.raises(ConversionError, match=r"layers.0.expand.weight .* 65,504"):
        export_onnx(model, tmp_path / "a.onnx", precision="fp16")
    assert list(tmp_path.iterdir()) == []
