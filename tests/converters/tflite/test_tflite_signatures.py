# SPDX-License-Identifier: Apache-2.0
"""Files with a signature for each of a few lengths: same logits, weights once, fixed shapes."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.interpreter import Interpreter
from export_fixtures import (
    KINDS,
    POSITIONS,
    VOCABULARY,
    Window,
    exported,
    hugging_face_logits,
    tiny_model,
    window,
)
from numpy.typing import NDArray

from converters import ConversionError
from converters.interface import INPUTS, SPANS, signature_of
from converters.precisions import TFLITE
from converters.runtimes.open import open_predictor
from converters.runtimes.probe import main, probe
from converters.runtimes.tflite import TfLitePredictor
from converters.tflite import (
    export as to_tflite,
)
from converters.tflite import (
    file as tflite_file,
)
from converters.tflite import (
    signatures as tflite_signatures,
)
from converters.tflite.check import check_portable
from converters.tflite.export import export_many, export_tflite
from converters.tflite.metadata import About, add_metadata, read_metadata

LENGTHS = (16, 64, 128)
NAMES = [signature_of(length) for length in LENGTHS]


@cache
def fixed(kind: str, precision: str) -> Path:
    """The file of `exported` with fixed lengths in place of every length."""
    source = exported(kind)[precision]
    model = tflite_signatures.fix_lengths(source.read_bytes(), LENGTHS)
    return tflite_file.write(model, source.with_name(f"fixed-{precision}.tflite"))


def fixed_copy(lengths: tuple[int, ...], path: Path, kind: str = "distilbert") -> Path:
    source = exported(kind)["int8"].read_bytes()
    return tflite_file.write(tflite_signatures.fix_lengths(source, lengths), path)


def padded(inputs: Window, length: int) -> Window:
    extra = ((0, 0), (0, length - inputs[0].shape[1]))
    return tuple(np.pad(array, extra) for array in inputs)  # type: ignore[return-value]


def run_signature(path: Path, name: str, inputs: Window) -> NDArray[np.float32]:
    """Logits, float32 (2, S), as an app gets them: by the names of signature and tensors."""
    found = Interpreter(model_path=str(path)).get_signature_runner(name)(
        **dict(zip(INPUTS, inputs, strict=True))
    )
    return np.concatenate([found[key] for key in SPANS.names])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", TFLITE)
def test_every_signature_agrees_with_the_resizable_file(kind: str, precision: str) -> None:
    resizable = open_predictor(exported(kind)[precision])
    # The same kernels on the same shapes: measured equal to the bit. A machine may yet sum in
    # another order, which in a layer of integers tips a value over to the next of 255 steps.
    tolerance = 1e-6 if precision.startswith("fp") else 0.05
    for length in LENGTHS:
        inputs = padded(window(length - 5, seed=length), length)
        found = run_signature(fixed(kind, precision), signature_of(length), inputs)
        assert found.shape == (2, length)
        assert np.abs(found - np.stack(resizable.run(*inputs))).max() <= tolerance
        assert found[:, -5:].max() < -5e3, "padding must never win"


@pytest.mark.parametrize("kind", KINDS)
def test_float_signatures_agree_with_transformers(kind: str) -> None:
    for length in LENGTHS:
        inputs = window(length, seed=length)
        found = run_signature(fixed(kind, "fp32"), signature_of(length), inputs)
        expected = hugging_face_logits(tiny_model(kind), inputs)
        assert np.abs(found - expected).max() < 1e-5  # float32 sums in another order: 1e-6


def test_the_longest_is_what_simple_runtimes_run() -> None:
    """The first graph, the default of every interface, and the name that resizable files have."""
    path = fixed("bert", "int8")
    inputs = window(LENGTHS[-1])
    expected = np.stack(open_predictor(exported("bert")["int8"]).run(*inputs))
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    for tensor in interpreter.get_input_details():
        assert tensor["shape"].tolist() == [1, LENGTHS[-1]]
        interpreter.set_tensor(tensor["index"], inputs[INPUTS.index(tensor["name"])])
    interpreter.invoke()
    outputs = {tensor["name"]: tensor["index"] for tensor in interpreter.get_output_details()}
    first = np.concatenate([interpreter.get_tensor(outputs[name]) for name in SPANS.names])
    for found in (first, run_signature(path, SPANS.signature, inputs)):
        assert np.abs(found - expected).max() <= 0.05  # as above


@pytest.mark.parametrize("name", [SPANS.signature, *NAMES])
def test_compiled_model_runs_every_signature(name: str) -> None:
    path = fixed("distilbert", "fp32")
    length = LENGTHS[-1] if name == SPANS.signature else LENGTHS[NAMES.index(name)]
    inputs = window(length)
    model = CompiledModel.from_file(str(path))
    feed = {key: model.create_input_buffer_by_name(name, key) for key in INPUTS}
    for key, array in zip(INPUTS, inputs, strict=True):
        feed[key].write(array)
    results = {key: model.create_output_buffer_by_name(name, key) for key in SPANS.names}
    model.run_by_name(name, feed, results)
    found = np.stack([results[key].read(length, np.float32) for key in SPANS.names])
    expected = hugging_face_logits(tiny_model("distilbert"), inputs)
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", TFLITE)
def test_shapes_are_fixed_and_the_file_is_portable(kind: str, precision: str) -> None:
    path = fixed(kind, precision)
    assert check_portable(path) == []
    found = tflite_file.describe(path)
    longest_first = dict(zip(NAMES[::-1], LENGTHS[::-1], strict=True))
    assert found.lengths == {SPANS.signature: LENGTHS[-1]} | longest_first
    assert found.signatures == dict.fromkeys(found.lengths, (INPUTS, SPANS.names))
    assert {tensor.shape for tensor in (*found.inputs, *found.outputs)} == {(1, LENGTHS[-1])}

    model = tflite_file.read(path)
    assert len(model.subgraphs) == len(LENGTHS)
    for graph, length in zip(model.subgraphs, LENGTHS[::-1], strict=True):
        shapes = [tflite_file.dims(tensor.shape) for tensor in graph.tensors]
        assert all(dim > 0 for shape in shapes for dim in shape)
        assert not any(len(tflite_file.dims(tensor.shapeSignature)) for tensor in graph.tensors)
        heads = (4, length, length)  # the attention's scores, by hand
        assert shapes.count(heads) == 3 * len([t for t in graph.operators if is_softmax(model, t)])
        constants = [shape for _, shape in tflite_file.reshapes(model, graph)]
        assert constants and all((shape > 0).all() for shape in constants)


def is_softmax(model: Any, operator: Any) -> bool:
    return tflite_file.operator_name(model, operator) == "SOFTMAX"


def stored_weights(path: Path) -> int:
    """Bytes of all constants but shapes and scalars, each buffer once."""
    found = {weight.buffer: weight.bytes for weight in tflite_file.describe(path).weights}
    return sum(size for size in found.values() if size >= tflite_file.SMALLEST_WEIGHT_BYTES)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", TFLITE)
def test_weights_and_scales_are_stored_once(kind: str, precision: str) -> None:
    one, several = exported(kind)[precision], fixed(kind, precision)
    assert stored_weights(several) == stored_weights(one)
    # A signature costs what says how its tensors and operators are connected. These models are
    # nothing but that: at base size four signatures are below 1 % of the file.
    model = tflite_file.read(one)
    parts = len(model.subgraphs[0].tensors) + len(model.subgraphs[0].operators)
    growth = several.stat().st_size - one.stat().st_size
    assert growth < (len(LENGTHS) - 1) * 50 * parts

    data = several.read_bytes()
    packed = schema.Model.GetRootAs(data, 0)
    graphs = [packed.Subgraphs(index) for index in range(packed.SubgraphsLength())]
    for field in ("ScaleAsNumpy", "ZeroPointAsNumpy"):
        places = [
            {
                vector.ctypes.data
                for index in range(graph.TensorsLength())
                for quantization in [graph.Tensors(index).Quantization()]
                for vector in [quantization and getattr(quantization, field)()]
                if isinstance(vector, np.ndarray)
            }
            for graph in graphs
        ]
        assert all(each == places[0] for each in places), "equal vectors, one place in the file"
        assert (precision in ("fp32", "fp16")) == (not places[0])


def test_export_of_a_few_lengths(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = tiny_model("distilbert")
    files = export_many(model, tmp_path, ["int8", "fp32"], static_lengths=(64, 16, 128, 64))
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in files.values()] == ["student-int8.tflite", "student-fp32.tflite"]
    for precision, path in files.items():  # twice the same length is the same length
        assert path.read_bytes() == fixed("distilbert", precision).read_bytes()
    assert sorted(tmp_path.iterdir()) == sorted(files.values())


def test_refuses_lengths_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(to_tflite, "_convert", None)  # it would take seconds
    model = tiny_model("distilbert", max_position_embeddings=100)
    for lengths, came in (
        ((0, 64), "0, 64"),
        ((-16, 64), "-16, 64"),
        ((101, 64, 64), "64, 101"),
        ((), "none"),
    ):
        with pytest.raises(ConversionError) as caught:
            export_many(model, tmp_path, ["int8"], static_lengths=lengths)
        assert str(caught.value) == (
            f"length {came} is not possible: the model has positions for 1 to 100; "
            "choose lengths within"
        )
        with pytest.raises(ConversionError, match=f"length {came} is not possible"):
            export_tflite(model, tmp_path / "a.tflite", static_lengths=lengths)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("precision", TFLITE)
def test_predictor_runs_the_shortest_that_fits(precision: str) -> None:
    several = TfLitePredictor(fixed("bert", precision))
    resizable = open_predictor(exported("bert")[precision])
    assert several.max_length == LENGTHS[-1]
    ran: list[dict[str, NDArray[np.int32]]] = []

    def spied(run: Callable[..., Any]) -> Callable[..., Any]:
        return lambda **feed: ran.append(feed) or run(**feed)

    several._by_length = [(length, spied(run)) for length, run in several._by_length]
    for length, chosen in ((1, 16), (16, 16), (17, 64), (128, 128), (60, 64), (3, 16)):
        inputs = window(length, padding=length // 4, seed=length)
        start, end = several.run(*inputs)
        assert start.shape == end.shape == (length,) and start.dtype == end.dtype == np.float32
        for name, array in zip(INPUTS, padded(inputs, chosen), strict=True):
            np.testing.assert_array_equal(ran[-1][name], array)
        expected = np.stack(resizable.run(*padded(inputs, chosen)))[:, :length]
        tolerance = 1e-6 if precision.startswith("fp") else 0.05  # as above
        assert np.abs(np.stack([start, end]) - expected).max() <= tolerance


def test_predictor_refuses_and_goes_on() -> None:
    predictor = open_predictor(fixed("distilbert", "int8"))
    with pytest.raises(ConversionError, match=r"129 tokens .*fixed-int8.tflite: pass 1 to 128"):
        predictor.run(*window(129))
    ids, mask, segment_ids = window(30)
    for wrong in (ids + VOCABULARY, ids - VOCABULARY):
        with pytest.raises(ConversionError, match="vocabulary"):
            predictor.run(wrong, mask, segment_ids)
    before, _ = predictor.run(ids, mask, segment_ids)
    kept = before.copy()
    predictor.run(*window(30, seed=1))
    assert (before == kept).all(), "results belong to the caller"


def test_probe_of_a_file_shorter_than_its_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = fixed_copy((1, 8), tmp_path / "short.tflite")
    main([str(path)])
    assert "first_ms" in json.loads(capsys.readouterr().out)
    assert "first_ms" in probe(fixed("bert", "int8"), 1, [3, 100], 2)
    assert main([str(path), "--length", "9"]) == 2
    assert "9 tokens do not fit short.tflite: pass 1 to 8" in capsys.readouterr().err


def test_one_length_and_the_largest(tmp_path: Path) -> None:
    path = fixed_copy((POSITIONS,), tmp_path / "one.tflite")
    assert check_portable(path) == []
    lengths = {SPANS.signature: POSITIONS, signature_of(POSITIONS): POSITIONS}
    assert tflite_file.describe(path).lengths == lengths
    inputs = window(POSITIONS)
    ours, theirs = (
        np.stack(open_predictor(file).run(*inputs))
        for file in (path, exported("distilbert")["int8"])
    )
    assert np.abs(ours - theirs).max() <= 0.05  # as above


def test_metadata_can_be_added(tmp_path: Path) -> None:
    vocabulary = tmp_path / "vocab.txt"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"p{i}" for i in range(4, VOCABULARY))]
    vocabulary.write_text("\n".join(pieces) + "\n")
    path = fixed_copy(LENGTHS, tmp_path / "described.tflite")
    size = path.stat().st_size
    add_metadata(path, vocabulary, About("a", "b", "1", "an author", "a license"))
    assert check_portable(path) == []
    assert list(read_metadata(path).vocabulary) == pieces
    assert path.stat().st_size < size + vocabulary.stat().st_size + 4096
    ours, theirs = (
        open_predictor(file).run(*window(20)) for file in (path, fixed("distilbert", "int8"))
    )
    np.testing.assert_array_equal(ours, theirs)


def swap_graphs(model: Any) -> None:
    model.subgraphs[:2] = model.subgraphs[1::-1]
    for signature in model.signatureDefs:
        signature.subgraphIndex = {0: 1, 1: 0}.get(signature.subgraphIndex, signature.subgraphIndex)


def free_a_reshape(model: Any) -> None:
    operator, shape = list(tflite_file.reshapes(model, model.subgraphs[1]))[-1]
    model.buffers.append(schema.BufferT())
    model.buffers[-1].data = np.where(shape == 64, -1, shape).astype(np.int32).view(np.uint8)
    constant = model.subgraphs[1].tensors[operator.inputs[1]]
    constant.buffer = len(model.buffers) - 1


def free_an_input(model: Any) -> None:
    model.subgraphs[2].tensors[model.subgraphs[2].inputs[1]].shapeSignature = [1, -1]


def forget_the_common_name(model: Any) -> None:
    model.signatureDefs = model.signatureDefs[1:]


def misname_a_length(model: Any) -> None:
    model.signatureDefs[-1].signatureKey = b"length_32"


def point_the_common_name_elsewhere(model: Any) -> None:
    model.signatureDefs[0].subgraphIndex = 2


def add_a_graph(model: Any) -> None:
    model.subgraphs.append(model.subgraphs[0])


def rename_an_output(model: Any) -> None:
    model.subgraphs[2].tensors[model.subgraphs[2].outputs[1]].name = b"output_1"


@pytest.mark.parametrize(
    ("break_it", "report"),
    [
        (swap_graphs, "not (1, "),
        (free_a_reshape, "should say [1, 64]: the length is fixed"),
        (free_an_input, "mask has shape signature (1, -1), not ()"),
        (forget_the_common_name, "not 'answer', 'length_128', 'length_64', 'length_16'"),
        (misname_a_length, "length_32"),
        (point_the_common_name_elsewhere, "'answer': 16"),
        (add_a_graph, "4 graphs"),
        (rename_an_output, "'output_1'"),
    ],
)
def test_reports_each_problem(break_it: Callable[[Any], None], report: str, tmp_path: Path) -> None:
    model = tflite_file.read(fixed("distilbert", "int8"))
    break_it(model)
    problems = check_portable(tflite_file.write(model, tmp_path / "broken.tflite"))
    assert problems and all(report in problem for problem in problems), problems


def test_reports_weights_that_a_signature_has_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tflite_file.read(fixed("distilbert", "fp32"))
    table = next(t for t in model.subgraphs[1].tensors if t.name == b"word_embeddings")
    model.buffers.append(schema.BufferT())
    model.buffers[-1].data = model.buffers[table.buffer].data.copy()
    table.buffer = len(model.buffers) - 1
    monkeypatch.setattr(tflite_file, "_share_equal_buffers", lambda model: None)
    path = tflite_file.write(model, tmp_path / "twice.tflite")
    assert check_portable(path) == [
        "weight word_embeddings is stored again: it equals word_embeddings"
    ]
