# SPDX-License-Identifier: Apache-2.0
"""Quantized weights in a file are PyTorch's weights, to half a step of the stated kind of scale."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from export_fixtures import KINDS, exported, tiny_model
from numpy.typing import NDArray

from converters import ConversionError
from converters.precisions import TFLITE
from converters.runtimes.open import open_predictor
from converters.tflite import file as tflite_file
from converters.tflite.channels import scale_outputs
from converters.tflite.export import export_many
from converters.tflite.mixed import group_names
from converters.tflite.quantize import _INTEGER_LAYERS, _Layers, quantize

# The weights below that a precision stores in int4, by a part of their names.
FOUR_BITS = {"int4": ("Linear",), "mixed": ("word_embeddings", "Layer_0")}
# Name in the file (a part of it) -> path of the weight in DistilBERT.
WEIGHTS = {
    "word_embeddings": "distilbert.embeddings.word_embeddings",
    "position_embeddings": "distilbert.embeddings.position_embeddings",
    "Layer_0/torch.nn.modules.linear.Linear_expand;1": "distilbert.transformer.layer.0.ffn.lin1",
    "Layer_1/torch.nn.modules.linear.Linear_contract;1": "distilbert.transformer.layer.1.ffn.lin2",
}


def stored(model: Any, name: str) -> tuple[Any, NDArray[Any]]:
    """The constant tensor whose name ends in `name`, and its values."""
    graph = model.subgraphs[0]
    (tensor,) = (
        each
        for each in graph.tensors
        if each.name.decode().endswith(name) and model.buffers[each.buffer].data is not None
    )
    data = model.buffers[tensor.buffer].data
    if tensor.type == schema.TensorType.INT4:  # two values a byte, the low half first
        halves = np.stack([data & 15, data >> 4], -1).ravel().astype(np.int8)
        values = np.where(halves > 7, halves - 16, halves)
    else:
        dtypes = {"FLOAT32": np.float32, "FLOAT16": np.float16, "INT8": np.int8}
        by_type = {getattr(schema.TensorType, kind): each for kind, each in dtypes.items()}
        values = data.view(by_type[tensor.type])
    return tensor, values.reshape(tensor.shape)


def scales(model: Any, tensor: Any, shape: tuple[int, int]) -> NDArray[np.float32]:
    """The scale of every value of a weight, as float32 of its shape."""
    quantization = tensor.quantization
    if quantization.scale is not None:
        return np.broadcast_to(np.asarray(quantization.scale)[:, None], shape)
    blocks = model.subgraphs[0].tensors[quantization.details.scales]
    values = model.buffers[blocks.buffer].data.view(np.float16).astype(np.float32)
    return np.repeat(values.reshape(blocks.shape), quantization.details.blockSize, axis=1)


def test_layers_of_equal_weights_are_scaled_alike(tmp_path: Path) -> None:
    """Whatever is equal is stored once; float32 rounds the quotient and the product: 1e-6."""
    model = tflite_file.read(exported("distilbert")["fp32"])
    layers = [
        model.subgraphs[0].tensors[each.inputs[1]]
        for each in model.subgraphs[0].operators
        if tflite_file.operator_name(model, each) == "FULLY_CONNECTED"
    ]
    first, *others = (each for each in layers if list(each.shape) == list(layers[0].shape))
    for other in others:
        model.buffers[other.buffer].data = model.buffers[first.buffer].data
    found = []
    for name, content in (
        ("plain", tflite_file.serialize(model)),
        ("scaled", scale_outputs(tflite_file.serialize(model))),
    ):
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(content)
        ids = np.arange(3, 19, dtype=np.int32)[None]
        found.append(np.stack(open_predictor(path).run(ids, np.ones_like(ids), 0 * ids)))
    assert others
    np.testing.assert_allclose(*found, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("precision", TFLITE)
def test_stored_weights_are_the_models(precision: str, name: str) -> None:
    module = tiny_model("distilbert").get_submodule(WEIGHTS[name])
    original = module.weight.detach().numpy()
    if name.endswith("embeddings"):  # columns are divided by powers of two, undone in the graph
        original = original / 2.0 ** np.ceil(np.log2(np.abs(original).max(0)))
    model = tflite_file.read(exported("distilbert")[precision])
    tensor, values = stored(model, name)
    if precision == "fp32":
        assert (values == original).all()
        return
    if precision == "fp16":
        assert (values == original.astype(np.float16)).all()
        return
    is_table = name.endswith("embeddings")
    bits = 4 if any(part in name for part in FOUR_BITS.get(precision, ())) else 8
    assert tensor.type == (schema.TensorType.INT4 if bits == 4 else schema.TensorType.INT8)
    if precision == "int8-per-tensor" and not is_table and len(original) > 1:
        # Each row's reach is multiplied into the layer's output, not stored in the weight.
        original = original / np.abs(original).max(1, keepdims=True)
    step = scales(model, tensor, original.shape)
    distinct = 1 if is_table or precision == "int8-per-tensor" else len(original)
    assert bits == 4 or len(np.unique(step)) == distinct
    # Half a step, and a little for float rounding; int4 stores its scale as fp16 (11 bits), which
    # moves the largest value, 7 steps out, by 7/2048 of a step, or clips it by as much.
    assert (np.abs(values * step - original) <= step * (0.5 + 0.005)).all()
    assert np.abs(values).max() >= 2 ** (bits - 1) - 1  # the whole range is used


@pytest.mark.parametrize("kind", KINDS)
def test_files_shrink_as_promised(kind: str) -> None:
    weights = {
        precision: sum(
            {
                weight.buffer: weight.bytes
                for weight in tflite_file.describe(path).weights
                if len(weight.shape) == 2 and weight.shape[0] > 1 and "scales" not in weight.name
            }.values()
        )
        for precision, path in exported(kind).items()
    }
    assert weights["fp32"] == 2 * weights["fp16"] == 4 * weights["int8"]
    assert weights["int8"] == weights["int8-per-tensor"] > weights["int4"]
    assert weights["int8"] > weights["mixed"]


def test_mixed_is_int8_where_it_is_not_int4(tmp_path: Path) -> None:
    float_model = exported("distilbert")["fp32"].read_bytes()
    assert quantize(float_model, "mixed", ()) == quantize(float_model, "int8")
    every = tflite_file.parse(quantize(float_model, "mixed", group_names(2)))
    weights = [
        tensor.type
        for tensor in every.subgraphs[0].tensors
        if every.buffers[tensor.buffer].data is not None and len(tensor.shape) == 2
        if tensor.type in (schema.TensorType.INT4, schema.TensorType.INT8)
    ]
    assert weights.count(schema.TensorType.INT4) == 2 + 2 * 6  # two tables, and layers of six
    assert weights.count(schema.TensorType.INT8) == 2  # the head


def test_a_group_is_found_where_an_activation_is_fused_with_it(tmp_path: Path) -> None:
    model = tiny_model("distilbert", activation="relu")
    (path,) = export_many(model, tmp_path, ["mixed"], int4=["layer 1 feed-forward"]).values()
    found = {
        weight.name.split("EncoderLayer_")[-1]
        for weight in tflite_file.describe(path).weights
        if weight.dtype == "int4"
    }
    assert {name[0] for name in found} == {"1"} and len(found) == 2
    assert {name.split("Linear_")[1].split(";")[0] for name in found} == {"expand", "contract"}


def test_fp32_is_the_model_itself_and_loads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_quantizer", None)  # an import would fail
    assert quantize(b"anything", "fp32") == b"anything"


def test_refuses_what_it_cannot_quantize(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConversionError, match=r"'int2'.*int8, int8-per-tensor, fp32, fp16, int4"):
        quantize(b"", "int2")
    with pytest.raises(ConversionError, match=r"mixed needs to know .*words or layer 0 attention"):
        quantize(b"", "mixed")
    float_model = exported("distilbert")["fp32"].read_bytes()
    with pytest.raises(ConversionError, match="'layer 2 attention': choose from words, positions"):
        quantize(float_model, "mixed", ["layer 2 attention"])
    with pytest.raises(ConversionError, match="'segments': choose from words, positions, and lay"):
        quantize(float_model, "mixed", ["segments"])
    # Blocks of 64 do not fit dimension 32, as blocks of 32 do not fit a dimension of 40.
    monkeypatch.setitem(_INTEGER_LAYERS, "int4", _Layers(4, "BLOCKWISE_64"))
    with pytest.raises(ConversionError, match="multiples of 32: choose int8"):
        quantize(float_model, "int4")


def test_one_scale_a_weight_costs_nothing_where_channels_differ(tmp_path: Path) -> None:
    """Rows that reach 50 times as far as others would take their bits: the gap of real students."""
    model = tiny_model("distilbert")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("lin1.weight"):
                weight[::7] *= 50
    files = export_many(model, tmp_path, ("fp32", "int8", "int8-per-tensor"))
    ids, ones = np.arange(1, 25, dtype=np.int32)[None], np.ones((1, 24), np.int32)
    logits = {
        name: np.stack(open_predictor(path).run(ids, ones, 0 * ones))
        for name, path in files.items()
    }
    errors = {name: np.abs(each - logits["fp32"]).mean() for name, each in logits.items()}
    # The same levels in another order of operations; without the scaling it is 5 times as much.
    assert errors["int8-per-tensor"] < 1.5 * errors["int8"]
