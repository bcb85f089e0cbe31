# SPDX-License-Identifier: Apache-2.0
"""Files are described, written and checked; every check fails on a file broken on purpose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from export_fixtures import KINDS, POSITIONS, VOCABULARY, exported_onnx
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from converters import ConversionError
from converters.onnx import file as onnx_file
from converters.onnx.check import check_portable
from converters.precisions import ONNX


def weight_named(model: ModelProto, name: str) -> TensorProto:
    return next(each for each in model.graph.initializer if each.name == name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ONNX)
def test_ours_are_portable(kind: str, precision: str) -> None:
    assert check_portable(exported_onnx(kind)[precision]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_describes_what_is_inside(kind: str) -> None:
    path = exported_onnx(kind)["int8"]
    found = onnx_file.describe(path)
    assert found.bytes == path.stat().st_size
    counts = {use.name: use.count for use in found.operators}
    layers, gathers = (3, 2) if kind == "bert" else (2, 1)
    assert counts["MatMulInteger"] == 6 * layers and counts["Gemm"] == 1
    assert counts["Softmax"] == layers and counts["MatMul"] == 2 * layers
    assert counts["LayerNormalization"] == 2 * layers + 1 and counts["Gather"] == gathers
    # query, key and value read the same input: it is quantized once
    assert counts["QuantizeLinear"] == 4 * layers
    weights = {weight.name: weight for weight in found.weights}
    words = weights["word_embeddings.weight"]
    assert (words.shape, words.dtype, words.inside) == ((VOCABULARY, 32), "int8", True)
    assert words.bytes == VOCABULARY * 32
    assert weights["position_embeddings.weight"].shape == (POSITIONS, 32)
    expand = weights["layers.0.expand.weight"]
    assert (expand.shape, expand.dtype) == ((32, 64), "int8")
    assert weights["layers.0.expand.weight_scale"].shape == (64,)
    assert ("segment_embeddings.weight" in weights) == (kind == "bert")
    assert found.lowest_runtime == "1.14"


@pytest.mark.parametrize(
    ("opset", "ir_version", "operator", "expected"),
    [
        (9, 3, "Add", "1.0"),
        (17, 8, "Add", "1.12"),
        (18, 8, "Add", "1.14"),
        (18, 9, "Add", "1.16"),
        (18, 10, "Add", "1.18"),  # what exporters write today
        (20, 9, "Add", "1.17"),
        (21, 10, "Add", "1.18"),
        (22, 10, "Add", None),  # the documentation's table ends before
        (18, 11, "Add", None),
        (18, 8, "com.microsoft.FusedMatMul", "1.14"),
        (17, 8, "com.microsoft.MultiHeadAttention", "1.14"),
        (18, 8, "com.microsoft.MatMulNBits", "1.16"),
        (21, 10, "com.microsoft.MatMulNBits", "1.18"),
        (18, 8, "com.microsoft.Imagined", None),
        (18, 8, "somebody.Add", None),
    ],
)
def test_lowest_runtime(opset: int, ir_version: int, operator: str, expected: str | None) -> None:
    domain, _, name = operator.rpartition(".")
    node = helper.make_node(name, ["a"], ["b"], domain=domain)
    graph = helper.make_graph([node], "graph", [], [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = ir_version
    assert onnx_file.lowest_runtime(model) == expected


def rename_an_output(model: ModelProto) -> None:
    graph = model.graph
    for node in graph.node:
        node.output[:] = ["output_1" if name == "end_logits" else name for name in node.output]
    graph.output[1].name = "output_1"


def rename_an_input(model: ModelProto) -> None:
    for node in model.graph.node:
        node.input[:] = ["input_ids" if name == "ids" else name for name in node.input]
    model.graph.input[0].name = "input_ids"


def make_an_input_long(model: ModelProto) -> None:
    model.graph.input[2].type.tensor_type.elem_type = TensorProto.INT64


def fix_the_length(model: ModelProto) -> None:
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[1].dim_value = 384


def fix_a_reshape(model: ModelProto) -> None:
    node = next(each for each in model.graph.node if each.op_type == "Reshape")
    node.input[1] = "fixed"
    model.graph.initializer.append(numpy_helper.from_array(np.array([384, 32]), "fixed"))


def add_a_custom_operator(model: ModelProto) -> None:
    node = next(each for each in model.graph.node if each.op_type == "Softmax")
    node.domain = "somebody"
    model.opset_import.append(helper.make_opsetid("somebody", 1))


def add_an_unknown_operator(model: ModelProto) -> None:
    node = next(each for each in model.graph.node if each.op_type == "Softmax")
    node.domain, node.op_type = "com.microsoft", "FasterSoftmax"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def hide_a_custom_operator(model: ModelProto) -> None:
    hidden = helper.make_node("Hidden", [], ["a"], domain="somebody")
    branch = helper.make_graph([hidden], "branch", [], [])
    model.graph.node.append(
        helper.make_node("If", ["mask"], [], then_branch=branch, else_branch=branch)
    )


def expand_a_table(model: ModelProto) -> None:
    table = weight_named(model, "word_embeddings.weight")
    values = numpy_helper.to_array(table).astype(np.float32)
    table.CopyFrom(numpy_helper.from_array(values, table.name))


def keep_the_float_table(model: ModelProto) -> None:
    values = np.random.default_rng(0).normal(size=(VOCABULARY, 32)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(values, "old_table"))


def store_a_weight_twice(model: ModelProto) -> None:
    weight = weight_named(model, "layers.1.value.weight")
    weight.CopyFrom(weight_named(model, "layers.0.value.weight"))
    weight.name = "layers.1.value.weight"


def store_a_weight_elsewhere(model: ModelProto) -> None:
    weight = weight_named(model, "word_embeddings.weight")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="weights.bin")
    weight.ClearField("raw_data")


def lose_the_metadata(model: ModelProto) -> None:
    del model.metadata_props[:]


def raise_the_ir_version(model: ModelProto) -> None:
    model.ir_version = 10


def cut_a_wire(model: ModelProto) -> None:
    node = next(each for each in model.graph.node if each.op_type == "Softmax")
    node.input[0] = "nowhere"


@pytest.mark.parametrize(
    ("break_it", "report"),
    [
        (rename_an_output, "'output_1'"),
        (rename_an_input, "'input_ids'"),
        (make_an_input_long, "segment_ids is int64, not int32"),
        (fix_the_length, "mask has dims ('batch', 384): both, batch and length, must be open"),
        (fix_a_reshape, "reshape to [384, 32]"),
        (add_a_custom_operator, "operator somebody.Softmax is custom"),
        (add_an_unknown_operator, "operator com.microsoft.FasterSoftmax is not known"),
        (hide_a_custom_operator, "operator somebody.Hidden is custom"),
        (expand_a_table, f"word_embeddings.weight ({VOCABULARY}, 32) is still float32"),
        (keep_the_float_table, "weight old_table is read by no operator"),
        (keep_the_float_table, f"weight old_table ({VOCABULARY}, 32) is still float32"),
        (store_a_weight_twice, "layers.1.value.weight is stored again: it equals layers.0.value"),
        (store_a_weight_elsewhere, "word_embeddings.weight lies outside of the file"),
        (lose_the_metadata, "metadata lacks precision, opset, ir_version, lowest"),
        (raise_the_ir_version, "= ['18', '8', '1.14'], not ['18', '10', '1.18']"),
        (cut_a_wire, "not valid ONNX: "),
    ],
)
def test_reports_what_is_not_portable(
    break_it: Callable[[ModelProto], None], report: str, tmp_path: Path
) -> None:
    model = onnx_file.read(exported_onnx("bert")["int8"])
    break_it(model)
    path = tmp_path / "broken.onnx"
    path.write_bytes(model.SerializeToString())
    problems = check_portable(path)
    assert any(report in problem for problem in problems), problems
    assert all("\n" not in problem for problem in problems)


def test_equal_weights_are_stored_once(tmp_path: Path) -> None:
    model = onnx_file.read(exported_onnx("bert")["int8"])
    store_a_weight_twice(model)
    before = len(model.graph.initializer)
    onnx_file.share_equal_weights(model)
    assert len(model.graph.initializer) == before - 1
    names = [name for node in model.graph.node for name in node.input]
    assert names.count("layers.0.value.weight") == 2 and "layers.1.value.weight" not in names
    assert check_portable(onnx_file.write(model, tmp_path / "shared.onnx")) == []


def test_writing_what_was_read_changes_nothing(tmp_path: Path) -> None:
    source = exported_onnx("bert")["int8"]
    copy = onnx_file.write(onnx_file.read(source), tmp_path / "new" / "copy.onnx")
    assert copy.read_bytes() == source.read_bytes()
    assert list(copy.parent.iterdir()) == [copy]


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "model.onnx"
    target.write_bytes(b"old")
    model = onnx_file.read(exported_onnx("bert")["int8"])

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(ConversionError, match="No space left"):
            onnx_file.write(model, target)
    cut_a_wire(model)
    with pytest.raises(onnx.checker.ValidationError):
        onnx_file.write(model, target)
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]


def test_refuses_what_one_file_cannot_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx_file.read(exported_onnx("bert")["fp32"])
    monkeypatch.setattr(onnx_file, "LARGEST_BYTES", 10_000)
    with pytest.raises(ConversionError, match="choose a smaller precision"):
        onnx_file.write(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_refuses_or_describes_damaged_files(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Never another error; a cut after the graph loses the metadata, which the check tells."""
    whole = exported_onnx("distilbert")["int8"].read_bytes()
    damaged = data.draw(
        st.one_of(
            st.integers(0, len(whole) - 1).map(lambda end: whole[:end]),
            st.binary(max_size=300),
            st.text(max_size=300).map(str.encode),
            st.binary(max_size=300).map(lambda rest: whole[:8] + rest),
        )
    )
    path = tmp_path_factory.mktemp("damaged") / "model.onnx"
    path.write_bytes(damaged)
    try:
        problems = check_portable(path)
    except ConversionError as error:
        assert "\n" not in str(error) and str(path) in str(error)
    else:
        assert problems


def test_refuses_missing_files_and_text(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="No such file"):
        onnx_file.describe(tmp_path / "none.onnx")
    for content in (b"", b"This is a model.\n", b'{"inputs": []}'):
        path = tmp_path / "text.onnx"
        path.write_bytes(content)
        with pytest.raises(ConversionError, match=r"is no \.onnx file"):
            onnx_file.describe(path)
