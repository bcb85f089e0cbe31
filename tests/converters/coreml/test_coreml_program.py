# SPDX-License-Identifier: Apache-2.0
"""The evaluator against PyTorch, the constants against the weights, damage, and the predictor."""

from __future__ import annotations

import random
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coreml_fixtures import (
    LENGTHS,
    damaged,
    evaluate,
    flip,
    model,
    opened,
    package,
    resealed,
)
from export_fixtures import POSITIONS, hugging_face_logits, window
from torch import nn
from torch.nn import functional

from converters import ConversionError
from converters.coreml import graph as coreml_graph
from converters.coreml import package as coreml_package
from converters.coreml.constants import compare_constants, unpack
from converters.coreml.graph import weights
from converters.coreml.program import CoreMlProgram
from converters.interface import INPUTS, SPANS
from converters.quiet import quiet
from converters.runtimes.coreml import CoreMlPredictor
from converters.runtimes.open import open_predictor
from converters.runtimes.probe import probe
from converters.runtimes.torch import TorchPredictor

CHECKED = [
    *(("distilbert", precision, "flexible", "plain") for precision in ("fp32", "fp16", "int8")),
    *(("distilbert", precision, "flexible", "plain") for precision in ("palette6", "int4")),
    ("distilbert", "int8", "functions", "ane"),
    ("bert", "fp16", "functions", "ane"),
]


# Single operations


def small_package(module: nn.Module, example: torch.Tensor, path: Path, half: bool = False) -> Path:
    """Any module of one input as a package."""
    with quiet():
        import coremltools as ct

        exported = torch.export.export(module.eval(), (example,)).run_decompositions({})
        count = len(exported.graph_signature.user_outputs)
        package = ct.convert(
            exported,
            inputs=[ct.TensorType("x", tuple(example.shape), dtype=np.float32)],
            outputs=[ct.TensorType(f"out_{i}") for i in range(count)],
            minimum_deployment_target=ct.target.iOS18,
            compute_precision=ct.precision.FLOAT16 if half else ct.precision.FLOAT32,
            skip_model_load=True,
        )
        file = Path(package.weights_dir) / "weight.bin"  # only if there are weights
        content = file.read_bytes() if file.exists() else b""
        return coreml_package.write(package.get_spec(), content, path)


class Operations(nn.Module):
    """Every operation that the evaluator knows, each with its own output."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.linear, self.norm = nn.Linear(6, 5), nn.LayerNorm(6)
        self.conv, self.table = nn.Conv2d(8, 7, 1), nn.Embedding(150, 4)
        with torch.no_grad():
            for weight in self.parameters():
                weight.add_(torch.randn(weight.shape), alpha=0.3)
        self.shift = nn.Buffer(torch.randn(6))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Takes x (1, 8, 3, 6)."""
        rows = x.reshape(24, 6)
        positive = (x.reshape(-1) >= 0).to(torch.int32)
        first, second, third = x.split([2, 5, 1], dim=1)
        return (
            functional.gelu(x),
            coreml_graph._gelu_tanh(x + 0.1),
            functional.relu(x),
            functional.silu(x),
            x.softmax(-1),
            (x * 30).softmax(1),
            self.norm(x),
            self.linear(rows),
            self.conv(x),
            x @ x.transpose(2, 3),
            torch.einsum("nchw,nwhu->nchu", x.transpose(1, 3), x),
            torch.cat([third, first, second], dim=1),
            self.table(torch.cumsum(positive, 0, dtype=torch.int32)),
            x.reshape(4, -1),
            x.permute(3, 0, 2, 1),
            rows.unsqueeze(1),
            third.squeeze(1),
            (1.0 - x) * self.shift + x,
            torch.where(x >= 0.3, x, self.shift),
        )


def test_operations_agree_with_pytorch(tmp_path: Path) -> None:
    module, x = Operations(), torch.randn(1, 8, 3, 6, generator=torch.Generator().manual_seed(0))
    found = CoreMlProgram(small_package(module, x, tmp_path / "a.mlpackage")).run({"x": x.numpy()})
    with torch.no_grad():
        expected = module(x)
    assert len(found) == len(expected) == 19
    for index, each in enumerate(expected):
        mine = found[f"out_{index}"]
        assert mine.shape == each.shape, index
        # float32 sums of at most 8 values of about 5, in another order
        assert np.abs(mine - each.numpy()).max() < 1e-5, index


def test_halves_are_rounded_after_every_operation(tmp_path: Path) -> None:
    class Sums(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return (x + 1.0) - 1.0, x * 40.0, (x * 0.375) * (x * 0.25)

    x = torch.tensor([[2048.0, 2049.0, 2050.5, 1.0, 0.3, 60000.0]])
    found = CoreMlProgram(small_package(Sums(), x, tmp_path / "a.mlpackage", half=True)).run(
        {"x": x.numpy()}
    )
    expected = Sums()(x.half())  # PyTorch's own halves: each operation exact, then rounded
    for index, each in enumerate(expected):
        assert (found[f"out_{index}"] == each.float().numpy()).all(), index
    assert np.isinf(found["out_1"]).sum() == 4  # 65,504 is the largest


def test_an_unknown_operation_is_named(tmp_path: Path) -> None:
    class Tangent(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tan(x)

    x = torch.ones(1, 4)
    program = CoreMlProgram(small_package(Tangent(), x, tmp_path / "a.mlpackage"))
    with pytest.raises(ConversionError, match=r"operation 'tan' .*known are add, cast"):
        program.run({"x": x.numpy()})


def test_inputs_and_functions_must_fit() -> None:
    program = opened("bert", "fp16", "functions", "ane")
    inputs = dict(zip(INPUTS, window(16), strict=True))
    with pytest.raises(ConversionError, match=r"no function 'main': choose from length_16"):
        program.run(inputs, "main")
    with pytest.raises(ConversionError, match=r"ids has the shape \(1, 16\): pass .* 48 to 48"):
        program.run(inputs)  # the default is the longest
    with pytest.raises(ConversionError, match=r"mask has the shape \(\)"):
        program.run({"ids": inputs["ids"]}, "length_16")
    with pytest.raises(ConversionError, match=r"vocabulary"):
        program.run(inputs | {"ids": inputs["ids"] + 120}, "length_16")


@pytest.mark.parametrize(("kind", "precision", "form", "layout"), CHECKED)
def test_constants_are_unpacked_as_coremltools_does(
    kind: str, precision: str, form: str, layout: str
) -> None:
    program = opened(kind, precision, form, layout)
    function = program._function(program.default)
    packed = [op for op in function.operations if op.op_type.startswith("constexpr_")]
    assert bool(packed) == (not precision.startswith("fp"))
    for operation in packed:
        mine, theirs = unpack(operation).values, operation.materialized_val_inference()
        assert mine.dtype == theirs.dtype and (mine == theirs).all(), operation.name


# Constants against weights


@pytest.mark.parametrize(("kind", "precision", "form", "layout"), CHECKED)
def test_constants_are_the_models(kind: str, precision: str, form: str, layout: str) -> None:
    path = package(kind, precision, form, layout)
    reference = weights(model(kind), layout)
    assert compare_constants(path, reference) == []
    name = "layers.1.expand.weight"
    for changed, message in (
        ({name: reference[name][::-1]}, "scale|values differ"),
        ({name: reference[name] * 1.05}, "scale|values differ"),
        ({name: reference[name][:, :-1]}, "shape"),
        ({"layers.2.weight": reference[name] + 1}, "is missing"),
    ):
        problems = compare_constants(path, reference | changed)
        assert problems and all(next(iter(changed)) in problem for problem in problems)
        assert any(part in problems[0] for part in message.split("|"))
    one_less = {key: value for key, value in reference.items() if key != name}
    problems = compare_constants(path, one_less)
    assert problems and all("is none of the weights" in problem for problem in problems)


@pytest.mark.parametrize("precision", ["fp32", "int8", "palette6", "int4"])
def test_one_changed_weight_is_seen(precision: str) -> None:
    reference = weights(model("distilbert"), "plain")
    changed = reference["word_embeddings.table.weight"].copy()
    changed[77, 5] += 0.3 * np.abs(changed).max()
    name = "word_embeddings.table.weight"
    problems = compare_constants(package("distilbert", precision), reference | {name: changed})
    assert len(problems) >= 1 and "(77, 5)" in problems[-1], problems


# Damage


def complaint(path: Path) -> str:
    with pytest.raises(ConversionError) as caught:
        open_predictor(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("precision", ["fp16", "int4"])
def test_any_changed_byte_of_the_weights_is_caught(precision: str, tmp_path: Path) -> None:
    source = package("distilbert", precision)
    size = (source / coreml_package.WEIGHTS).stat().st_size
    draw = random.Random(5)
    # The header, the first entry's header, its data, the end; and anywhere.
    places = [0, 63, 64, 127, 128, size - 1, *(draw.randrange(size) for _ in range(100))]
    for place in places:
        change = flip(place, 1 << draw.randrange(8))
        path = damaged(source, tmp_path, coreml_package.WEIGHTS, change)
        assert "is damaged or was changed" in complaint(path), place
        with pytest.raises(ConversionError, match="damaged"):
            compare_constants(path, {})


@pytest.mark.parametrize("name", [coreml_package.MODEL, coreml_package.MANIFEST])
def test_any_changed_byte_of_the_rest_is_caught(name: str, tmp_path: Path) -> None:
    source = package("distilbert", "int8")
    content = (source / name).read_bytes()
    seal = content.find(coreml_package.SEAL_KEY.encode())
    draw = random.Random(6)
    places = [0, len(content) - 1, *(draw.randrange(len(content)) for _ in range(50))]
    places += [seal, seal + 20, seal + 60] if seal >= 0 else []
    for place in places:
        path = damaged(source, tmp_path, name, flip(place, 1 << draw.randrange(8)))
        assert "is damaged" in complaint(path), place


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_wrong_weights_under_a_right_seal_are_caught(precision: str, tmp_path: Path) -> None:
    """As if the converter had written a wrong byte: then only the weights themselves can tell."""
    source, reference = package("distilbert", precision), weights(model("distilbert"), "plain")
    size = (source / coreml_package.WEIGHTS).stat().st_size
    honest = [unpack(each).values for each in stored(source)]
    draw = random.Random(7)
    caught = 0
    for _ in range(30):
        place, bits = draw.randrange(size), 1 << draw.randrange(8)
        path = resealed(source, tmp_path, flip(place, bits))
        try:
            problems = compare_constants(path, reference)
        except ConversionError:  # the header of an entry: nothing can be loaded
            problems = ["cannot load"]
        caught += bool(problems)
        if not problems:  # then it must be padding, or lie within the rounding of an fp16 scale
            for mine, theirs in zip(stored(path), honest, strict=True):
                assert np.allclose(unpack(mine).values, theirs, rtol=4e-3, atol=1e-6), (place, bits)
    assert caught >= 20


def stored(path: Path) -> list[Any]:
    function = coreml_package.load_function(path, coreml_package.read(path), "main")
    return [
        operation
        for operation in function.operations
        if operation.op_type.startswith("constexpr_")
        or (operation.op_type == "const" and np.size(operation.outputs[0].val) > 10)
    ]


def test_damaged_packages_are_refused_in_one_line(tmp_path: Path) -> None:
    source = package("distilbert", "int8")
    for name in (coreml_package.MANIFEST, coreml_package.MODEL, coreml_package.WEIGHTS):
        path = damaged(source, tmp_path, name, lambda content: content)
        (path / name).unlink()
        assert f"is not whole: {name}" in complaint(path)
        for keep in (0, 1, 3000):
            path = damaged(source, tmp_path, name, lambda content, end=keep: content[:end])  # type: ignore[misc]
            if keep < (source / name).stat().st_size:
                assert "is damaged" in complaint(path)
    shutil.rmtree(path)
    path.mkdir()
    assert "is not whole" in complaint(path)
    path.rmdir()
    path.write_text("a file")
    assert "expected a folder" in complaint(path)
    path.unlink()
    assert "does not exist" in complaint(path)


def test_a_package_that_cannot_be_loaded_is_refused_in_one_line(tmp_path: Path) -> None:
    source = package("distilbert", "int8")
    path = resealed(source, tmp_path, lambda content: content[:100])
    with pytest.raises(ConversionError, match=r"cannot load .*export it again"):
        CoreMlProgram(path).run(dict(zip(INPUTS, window(8), strict=True)))
    spec = coreml_package.read(source)
    spec.description.output[0].name = "start"
    weights_of = (source / coreml_package.WEIGHTS).read_bytes()
    assert "gives start, end_logits: expected ids, mask" in complaint(
        coreml_package.write(spec, weights_of, tmp_path / "b.mlpackage")
    )


# The predictor


def test_predictor_of_a_flexible_package_takes_the_exact_length() -> None:
    predictor = open_predictor(package("distilbert", "fp32"))
    assert isinstance(predictor, CoreMlPredictor)
    assert predictor.name == "distilbert-fp32-flexible-plain.mlpackage"
    assert predictor.max_length == POSITIONS
    reference = TorchPredictor(model("distilbert"), "student")
    for length, padding in ((1, 0), (31, 6), (POSITIONS, 0)):
        inputs = window(length, padding)
        for mine, theirs in zip(predictor.run(*inputs), reference.run(*inputs), strict=True):
            assert mine.shape == (length,) and mine.dtype == np.float32
            assert np.abs(mine - theirs)[: length - padding].max() < 1e-5  # see test_to_coreml
    with pytest.raises(ConversionError, match=r"513 tokens .* 1 to 512"):
        predictor.run(*window(POSITIONS + 1))


def test_predictor_of_several_functions_pads_to_the_shortest_that_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    predictor = CoreMlPredictor(package("distilbert", "fp32", "functions"))
    assert predictor.max_length == LENGTHS[-1]
    run, ran = predictor._run, []

    def noted(inputs: dict[str, Any], function: str) -> dict[str, Any]:
        ran.append((function, inputs["ids"].shape, int(inputs["mask"].sum())))
        return run(inputs, function)

    monkeypatch.setattr(predictor, "_run", noted)
    for length in (1, 16, 17, 48):
        inputs = window(length)
        found = np.stack(predictor.run(*inputs))
        assert np.abs(found - hugging_face_logits(model("distilbert"), inputs)).max() < 1e-5
    assert ran == [
        ("length_16", (1, 16), 1),
        ("length_16", (1, 16), 16),
        ("length_48", (1, 48), 17),
        ("length_48", (1, 48), 48),
    ]
    with pytest.raises(ConversionError, match="49 tokens"):
        predictor.run(*window(49))


@pytest.mark.parametrize("form", ["flexible", "functions"])
def test_on_macos_core_ml_itself_predicts(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import coremltools as ct

    path = package("distilbert", "fp32", form)
    loaded = []

    class FakeModel:
        def __init__(self, name: str, function_name: str | None) -> None:
            assert Path(name) == path
            loaded.append(function_name)

        def predict(self, inputs: dict[str, Any]) -> dict[str, Any]:
            if inputs["ids"][0, 0] == 99:
                raise RuntimeError("Unable to\nload model")
            return {name: inputs["ids"].astype(np.float32) for name in SPANS.names}

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ct.models, "MLModel", FakeModel)
    predictor = CoreMlPredictor(path)
    for length in (12, 13):
        ids, mask, segment_ids = window(length)
        start, _ = predictor.run(ids, mask, segment_ids)
        assert (start == ids[0]).all()
    assert loaded == [None if form == "flexible" else "length_16"]  # opened once
    with pytest.raises(ConversionError, match="Unable to load model"):
        predictor.run(ids * 0 + 99, mask, segment_ids)


def test_logits_belong_to_the_caller() -> None:
    predictor = CoreMlPredictor(package("distilbert", "fp32", "functions"))
    first, _ = predictor.run(*window(10, seed=1))
    before = first.copy()
    predictor.run(*window(10, seed=2))
    assert (first == before).all() and first.flags.owndata


def test_probe_opens_packages() -> None:
    found = probe(package("distilbert", "fp32"), threads=1, lengths=[16], repeat=1)
    assert found["peak_rss_bytes"] >= found["empty_rss_bytes"] > 2**20


def test_evaluation_does_not_depend_on_what_ran_before() -> None:
    program = opened("distilbert", "int8")
    first = evaluate(program, window(20))
    evaluate(program, window(33, seed=9))
    assert (evaluate(program, window(20)) == first).all()
