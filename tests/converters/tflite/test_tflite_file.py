# SPDX-License-Identifier: Apache-2.0
"""Files are described, rewritten and checked; every check fails on a file broken on purpose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools.flatbuffer_utils import update_packed_buffer
from export_fixtures import KINDS, POSITIONS, VOCABULARY, exported, window
from hypothesis import given, settings
from hypothesis import strategies as st

from converters import ConversionError
from converters.interface import INPUTS, SPANS
from converters.precisions import TFLITE
from converters.runtimes.open import open_predictor
from converters.tflite import bounds
from converters.tflite import file as tflite_file
from converters.tflite import signatures as tflite_signatures
from converters.tflite.check import check_portable

SIGNATURE, OUTPUTS = SPANS.signature, SPANS.names


def tensor_named(model: Any, name: str) -> Any:
    return next(each for each in model.subgraphs[0].tensors if each.name == name.encode())


def reshapes(model: Any) -> list[Any]:
    """The RESHAPE operators of the first graph."""
    code = schema.BuiltinOperator.RESHAPE
    return [
        op
        for op in model.subgraphs[0].operators
        if model.operatorCodes[op.opcodeIndex].builtinCode == code
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", TFLITE)
def test_ours_are_portable(kind: str, precision: str) -> None:
    assert check_portable(exported(kind)[precision]) == []


def test_a_graph_that_leads_to_itself_ends() -> None:
    model = tflite_file.read(exported("bert")["int8"])
    graph = model.subgraphs[0]
    _, table = next(tflite_file.lookups(model, graph))
    place = next(n for n, each in enumerate(graph.tensors) if each is table)
    graph.operators[-1].outputs, graph.operators[-1].inputs = [place], [place]
    assert list(tflite_file.lookups(model, graph))


@pytest.mark.parametrize("kind", KINDS)
def test_describes_what_is_inside(kind: str) -> None:
    path = exported(kind)["int8"]
    found = tflite_file.describe(path)
    assert found.bytes == path.stat().st_size
    assert found.signatures == {SIGNATURE: (INPUTS, OUTPUTS)} and found.lengths == {SIGNATURE: None}
    for tensors, names, dtype in (
        (found.inputs, INPUTS, "int32"),
        (found.outputs, OUTPUTS, "float32"),
    ):
        assert tensors == tuple(
            tflite_file.TensorSummary(name, dtype, (1, 384), (1, -1)) for name in names
        )
    counts = {use.name: use.count for use in found.operators}
    layers, tables = (3, 3) if kind == "bert" else (2, 2)
    assert counts["FULLY_CONNECTED"] == 6 * layers + 2
    assert counts["SOFTMAX"] == layers and counts["BATCH_MATMUL"] == 2 * layers
    assert counts["EMBEDDING_LOOKUP"] == tables and "GATHER" not in counts
    assert all(use.version >= 1 for use in found.operators) and found.custom_operators == ()
    weights = {weight.name: weight for weight in found.weights}
    words, positions = weights["word_embeddings"], weights["position_embeddings"]
    assert (words.shape, words.dtype, words.scales) == ((VOCABULARY, 32), "int8", 1)
    assert (positions.shape, positions.bytes) == ((POSITIONS, 32), POSITIONS * 32)
    assert ("segment_embeddings" in weights) == (kind == "bert")


def test_writing_what_was_read_changes_nothing(tmp_path: Path) -> None:
    source = exported("bert")["int8"]
    copy = tflite_file.write(tflite_file.read(source), tmp_path / "new" / "copy.tflite")
    assert copy.read_bytes() == source.read_bytes()
    assert list(copy.parent.iterdir()) == [copy]


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "model.tflite"
    target.write_bytes(b"old")

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ConversionError, match="No space left"):
        tflite_file.write(tflite_file.read(exported("bert")["int8"]), target)
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]


def fix_a_reshape(model: Any) -> None:
    constant = model.subgraphs[0].tensors[reshapes(model)[-1].inputs[1]]
    dims = model.buffers[constant.buffer].data.view(np.int32)
    fixed = np.where(dims == -1, 384, dims).astype(np.int32)
    model.buffers[constant.buffer].data = fixed.view(np.uint8)


def lose_a_shape_signature(model: Any) -> None:
    tensor_named(model, "mask").shapeSignature = None


def rename_an_output(model: Any) -> None:
    tensor_named(model, "end_logits").name = b"output_1"


def rename_an_input_of_the_signature(model: Any) -> None:
    model.signatureDefs[0].inputs[0].name = b"args_0"


def add_a_custom_operator(model: Any) -> None:
    code = schema.OperatorCodeT()
    code.builtinCode, code.customCode, code.version = 32, b"FlexErf", 1
    model.operatorCodes.append(code)


def add_a_graph(model: Any) -> None:
    model.subgraphs.append(schema.SubGraphT())
    for part in ("tensors", "operators", "inputs", "outputs"):
        setattr(model.subgraphs[-1], part, [])


def expand_a_table(model: Any) -> None:
    table = tensor_named(model, "word_embeddings")
    data = model.buffers[table.buffer].data.view(np.int8).astype(np.float32)
    model.buffers[table.buffer].data = data.view(np.uint8)
    table.type, table.quantization = schema.TensorType.FLOAT32, None


def scale_each_row(model: Any) -> None:
    table = tensor_named(model, "word_embeddings")
    table.quantization.scale = np.resize(table.quantization.scale, VOCABULARY)
    table.quantization.zeroPoint = np.zeros(VOCABULARY, np.int64)


def make_an_input_long(model: Any) -> None:
    tensor_named(model, "ids").type = schema.TensorType.INT64


@pytest.mark.parametrize(
    ("break_it", "report"),
    [
        (fix_a_reshape, "fixes the sequence length"),
        (lose_a_shape_signature, "mask has shape signature (), not (1, -1)"),
        (rename_an_output, "'output_1'"),
        (rename_an_input_of_the_signature, "args_0"),
        (add_a_custom_operator, "FlexErf is not builtin"),
        (add_a_graph, "2 graphs"),
        (expand_a_table, "word_embeddings is still float32"),
        (scale_each_row, f"word_embeddings has {VOCABULARY} scales"),
        (make_an_input_long, "ids is int64, not int32"),
    ],
)
def test_reports_each_problem(break_it: Callable[[Any], None], report: str, tmp_path: Path) -> None:
    model = tflite_file.read(exported("bert")["int8"])
    break_it(model)
    problems = check_portable(tflite_file.write(model, tmp_path / "broken.tflite"))
    assert problems and all(report in problem for problem in problems), problems


def pack(model: Any, path: Path) -> Path:
    """Write a model as the generated classes do: unaligned, nothing shared."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(builder.Output())
    return path


def test_reports_and_shares_a_weight_stored_twice(tmp_path: Path) -> None:
    source = exported("distilbert")["fp32"]
    model = tflite_file.read(source)
    table = tensor_named(model, "word_embeddings")
    copy = schema.BufferT()
    copy.data = model.buffers[table.buffer].data.copy()
    model.buffers.append(copy)
    twin = tensor_named(tflite_file.read(source), "word_embeddings")
    twin.name, twin.buffer = b"twin", len(model.buffers) - 1
    model.subgraphs[0].tensors.append(twin)
    path = pack(model, tmp_path / "twice.tflite")
    report = "weight twin is stored again: it equals word_embeddings"
    assert report in check_portable(path)
    tflite_file.write(tflite_file.read(path), path)
    assert check_portable(path) == []
    assert path.stat().st_size < source.stat().st_size + 512


def test_reports_and_aligns_unaligned_weights(tmp_path: Path) -> None:
    path = pack(tflite_file.read(exported("distilbert")["int8"]), tmp_path / "loose.tflite")
    problems = check_portable(path)
    assert problems and all("not aligned to 16 bytes" in problem for problem in problems)
    tflite_file.write(tflite_file.read(path), path)
    assert path.read_bytes() == exported("distilbert")["int8"].read_bytes()


def move_weights_behind(model: Any, path: Path) -> Path:
    """Write a model as the quantizer does for large ones: weights after the flatbuffer."""
    outside = {
        index: buffer.data
        for index, buffer in enumerate(model.buffers)
        if buffer.data is not None and len(buffer.data) >= 1024
    }
    for index in outside:
        model.buffers[index].data = None
        model.buffers[index].offset = model.buffers[index].size = 1
    data = bytearray(pack(model, path).read_bytes())
    packed = schema.Model.GetRootAs(data)
    for index, weight in outside.items():
        data += b"\0" * (-len(data) % 16)
        update_packed_buffer(packed.Buffers(index), offset=len(data), size=len(weight))
        data += weight.tobytes()
        packed = schema.Model.GetRootAs(data)
    path.write_bytes(data)
    return path


def test_weights_behind_the_flatbuffer_come_back_inside(tmp_path: Path) -> None:
    source = exported("bert")["int8"]
    path = move_weights_behind(tflite_file.read(source), tmp_path / "outside.tflite")
    problems = check_portable(path)
    assert any("word_embeddings lies behind the flatbuffer" in problem for problem in problems)
    assert tflite_file.serialize(tflite_file.read(path)) == source.read_bytes()
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ConversionError, match="damaged or cut off"):
        tflite_file.read(path)


def chain(shape_constant: list[int], operator: int = schema.BuiltinOperator.RESHAPE) -> Any:
    """A graph of one operator on a (1, 11) input with a constant second operand."""
    data, constant, result = schema.TensorT(), schema.TensorT(), schema.TensorT()
    data.name, data.shape, data.type = b"data", [1, 11], schema.TensorType.FLOAT32
    constant.name, constant.shape = b"constant", [len(shape_constant)]
    constant.type, constant.buffer = schema.TensorType.INT32, 1
    result.name, result.shape, result.type = b"result", [22, 1], schema.TensorType.FLOAT32
    code, used, graph, model = (
        schema.OperatorCodeT(),
        schema.OperatorT(),
        schema.SubGraphT(),
        schema.ModelT(),
    )
    code.builtinCode = operator
    used.inputs, used.outputs = [0, 1], [2]
    used.builtinOptions = schema.ReshapeOptionsT()
    graph.tensors, graph.operators = [data, constant, result], [used]
    graph.inputs, graph.outputs = [0], [2]
    model.operatorCodes, model.subgraphs = [code], [graph]
    model.buffers = [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = np.array(shape_constant, np.int32).view(np.uint8)
    return model


def test_resizable_shapes_by_hand() -> None:
    model = chain([22, 3])
    tflite_signatures.make_resizable(model, traced_length=11, default_length=5)
    data, _, result = model.subgraphs[0].tensors
    assert (data.shape, data.shapeSignature) == ([1, 5], [1, -1])
    assert (result.shape, result.shapeSignature) == ([10, 1], [-1, 1])
    assert model.buffers[1].data.view(np.int32).tolist() == [-1, 3]
    assert model.subgraphs[0].operators[0].builtinOptions.newShape.tolist() == [-1, 3]


def test_refuses_graphs_that_cannot_resize() -> None:
    for model in (chain([11, 11]), chain([0, 11], schema.BuiltinOperator.SLICE)):
        with pytest.raises(ConversionError, match="fixes the length 11"):
            tflite_signatures.make_resizable(model, 11, 5)
    with pytest.raises(ConversionError, match=r"constant .* was folded at length 11"):
        tflite_signatures.make_resizable(chain([1] * 11), 11, 5)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_files_are_refused_in_one_line(data: st.DataObject) -> None:
    whole = exported("distilbert")["int8"].read_bytes()
    damaged = data.draw(
        st.one_of(
            st.integers(0, len(whole) - 1).map(lambda end: whole[:end]),
            st.binary(max_size=300),
            st.binary(max_size=300).map(lambda rest: whole[:8] + rest),
        )
    )
    with pytest.raises(ConversionError) as caught:
        tflite_file.parse(damaged, "model.tflite")
    assert "\n" not in str(caught.value) and "model.tflite" in str(caught.value)


def test_a_missing_file_is_an_error_not_a_problem(tmp_path: Path) -> None:
    for function in (tflite_file.read, tflite_file.describe, check_portable):
        with pytest.raises(ConversionError, match="No such file"):
            function(tmp_path / "none.tflite")


def test_rewritten_files_run(tmp_path: Path) -> None:
    source = exported("bert")["int8"]
    path = move_weights_behind(tflite_file.read(source), tmp_path / "outside.tflite")
    tflite_file.write(tflite_file.read(path), path)
    found, expected = (open_predictor(each).run(*window(50)) for each in (path, source))
    assert all((a == b).all() for a, b in zip(found, expected, strict=True))


def bomb(count: int) -> bytes:
    """A file of a few kilobytes that stands for `count` graphs of `count` tensors each."""
    builder = flatbuffers.Builder(0)

    def many(start: Callable[[Any, int], Any], place: int) -> int:
        start(builder, count)
        for _ in range(count):
            builder.PrependUOffsetTRelative(place)
        return int(builder.EndVector())

    schema.TensorStart(builder)
    tensors = many(schema.SubGraphStartTensorsVector, schema.TensorEnd(builder))
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, tensors)
    graphs = many(schema.ModelStartSubgraphsVector, schema.SubGraphEnd(builder))
    schema.ModelStart(builder)
    schema.ModelAddSubgraphs(builder, graphs)
    builder.Finish(schema.ModelEnd(builder), file_identifier=tflite_file.FILE_IDENTIFIER)
    return bytes(builder.Output())


def test_a_small_file_that_stands_for_more_than_it_holds_is_refused() -> None:
    data = bomb(600)
    assert len(data) < 10_000
    with pytest.raises(ConversionError, match="more than 200,000 tensors and operators"):
        tflite_file.parse(data)
    with pytest.raises(ConversionError, match="damaged"):
        tflite_file.parse(bomb(3))  # buffers and operators are missing


def test_buffers_over_one_another_are_refused() -> None:
    buffer = schema.BufferT()
    buffer.data = np.zeros(100, np.uint8)
    bounds.check_buffers([buffer] * 8, 100)
    with pytest.raises(ValueError, match="over one another"):
        bounds.check_buffers([buffer] * 9, 100)
