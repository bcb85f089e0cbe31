# SPDX-License-Identifier: Apache-2.0
"""Core ML packages agree with PyTorch in every precision, form and layout, and say what they are.

They are evaluated by `coreml_program`, which its own tests hold against PyTorch.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from coreml_fixtures import (
    CARD,
    LENGTHS,
    VOCABULARY,
    as_stored,
    evaluate,
    model,
    opened,
    package,
)
from export_fixtures import POSITIONS, Window, hugging_face_logits, tiny_model, window

from converters import ConversionError
from converters.coreml import package as coreml_package
from converters.coreml.constants import computed
from converters.coreml.export import (
    PALETTE,
    ModelCard,
    _palette,
    export_coreml,
    export_many,
)
from converters.coreml.program import CoreMlProgram
from converters.interface import INPUTS, SPANS
from converters.precisions import COREML

# Largest error on logits of about 0.7: sums in another order; 11 bits in every intermediate result
# of two layers (measured: 1e-6 and 4e-3).
TOLERANCES = dict.fromkeys(COREML, 1e-2) | {"fp32": 1e-5}

# Each precision, each form, each layout and both architectures, not all of their products.
PACKAGES = [
    *(("distilbert", precision, "flexible", "plain") for precision in COREML),
    ("distilbert", "fp32", "functions", "plain"),
    ("distilbert", "int8", "functions", "ane"),
    ("distilbert", "fp32", "flexible", "ane"),
    ("distilbert", "fp16", "flexible", "ane"),
    ("bert", "fp32", "flexible", "plain"),
    ("bert", "fp16", "functions", "ane"),
]
KINDS_OF_WEIGHT = {
    "fp32": set(),
    "fp16": set(),
    "int8": {"constexpr_affine_dequantize"},
    "palette6": {"constexpr_lut_to_dense"},
    "int4": {"constexpr_blockwise_shift_scale"},
}


def natural(padded: Window, length: int) -> Window:
    return tuple(array[:, :length] for array in padded)  # type: ignore[return-value]


@pytest.mark.parametrize(("kind", "precision", "form", "layout"), PACKAGES)
def test_agrees_with_pytorch(kind: str, precision: str, form: str, layout: str) -> None:
    """With the model itself in floats; in codes, with PyTorch computing with the stored weights.

    How far codes are from the weights is for the tests of `compare_constants` and of the palette:
    in a random model of dimension 64 it moves logits by up to 0.5, which would hide anything.
    """
    program = opened(kind, precision, form, layout)
    fixed = [(f"length_{length}", length) for length in LENGTHS]
    free = [("main", length) for length in (1, 2, 40, 384, POSITIONS)]
    for function, length in fixed if form == "functions" else free:
        padding = length // 4
        inputs = window(length, padding, seed=length)
        found = evaluate(program, inputs, function)
        if KINDS_OF_WEIGHT[precision]:
            stored = as_stored(kind, precision, form, layout)
            with torch.no_grad():
                expected = torch.cat(stored(*map(torch.from_numpy, inputs))).numpy()
        else:
            expected = hugging_face_logits(model(kind), inputs)
        assert found.dtype == np.float32 and found.shape == (2, length)
        kept = length - padding
        assert np.abs(found[:, :kept] - expected[:, :kept]).max() < TOLERANCES[precision]
        assert padding == 0 or found[:, kept:].max() < -5e3, "padding must never win"


@pytest.mark.parametrize("layout", ["plain", "ane"])
@pytest.mark.parametrize("activation", ["gelu_new", "relu", "silu"])
def test_other_activations(activation: str, layout: str, tmp_path: Path) -> None:
    other = tiny_model("distilbert", activation=activation, n_layers=1)
    path = export_coreml(other, tmp_path / "a.mlpackage", precision="fp32", layout=layout)
    program, inputs = CoreMlProgram(path), window(30)
    types = Counter(operation.op_type for operation in computed(program._function("main")))
    assert types[{"gelu_new": "gelu"}.get(activation, activation)] == 1 and "tanh" not in types
    expected = hugging_face_logits(other, inputs)
    assert np.abs(evaluate(program, inputs) - expected).max() < 1e-5


@pytest.mark.parametrize("layout", ["plain", "ane"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_padding_changes_nothing(precision: str, layout: str) -> None:
    program = opened("distilbert", precision, "flexible", layout)
    padded = window(100, 45)
    found, alone = evaluate(program, padded), evaluate(program, natural(padded, 55))
    # exp(-10000) is 0, so only the order of a sum can differ: float rounding, which in fp16 may
    # tip an intermediate result over to the next of its 2048 steps.
    assert np.abs(found[:, :55] - alone).max() < {"fp32": 1e-5, "fp16": 5e-3}[precision]


def test_both_layouts_are_the_same_model() -> None:
    inputs = window(POSITIONS, 100)
    plain, ane = (
        evaluate(opened("distilbert", "fp32", "flexible", layout), inputs)[:, :-100]
        for layout in ("plain", "ane")
    )
    assert np.abs(plain - ane).max() < 1e-5  # float32 sums in another order


def test_layouts_have_their_operations() -> None:
    plain, ane = (
        Counter(
            operation.op_type
            for operation in computed(
                opened("distilbert", "fp32", "flexible", layout)._function("main")
            )
        )
        for layout in ("plain", "ane")
    )
    assert plain["linear"] == 14 and plain["conv"] == 0
    # Two layers of four heads: a transposed key each, and the embeddings'; ids are flattened twice.
    assert ane["linear"] == ane["matmul"] == 0 and ane["conv"] == 14
    assert ane["einsum"] == 16 and ane["transpose"] == 3 and ane["reshape"] == 2


@pytest.mark.parametrize("precision", COREML)
def test_weights_are_stored_as_asked(precision: str) -> None:
    program = opened("distilbert", precision)._function("main")
    found = {op.op_type for op in program.operations if op.op_type.startswith("constexpr_")}
    assert found == KINDS_OF_WEIGHT[precision]
    types = {op.op_type for op in computed(program)}
    assert {"linear", "gather", "layer_norm"} <= types
    spec = coreml_package.read(package("distilbert", precision))
    assert spec.specificationVersion == (9 if precision == "int4" else 8)  # iOS 18, iOS 17


def test_fewer_bits_are_smaller_and_functions_share_weights() -> None:
    shrinking = ("fp32", "fp16", "int8", "palette6", "int4")
    sizes = [coreml_package.size(package("distilbert", precision)) for precision in shrinking]
    assert set(shrinking) == set(COREML)
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == len(sizes)
    one, two = (
        (package("distilbert", "fp32", form) / coreml_package.WEIGHTS).stat().st_size
        for form in ("flexible", "functions")
    )
    assert two < 1.01 * one


def test_interface() -> None:
    flexible = coreml_package.read(package("distilbert", "fp16"))
    assert coreml_package.functions(flexible) == {"main": (INPUTS, SPANS.names, 1, POSITIONS, 384)}
    several = coreml_package.read(package("bert", "fp16", "functions", "ane"))
    assert coreml_package.functions(several) == {
        f"length_{length}": (INPUTS, SPANS.names, length, length, length) for length in LENGTHS
    }
    assert several.description.defaultFunctionName == f"length_{LENGTHS[-1]}"
    for description in (flexible.description, *several.description.functions):
        types = [feature.type.multiArrayType.dataType for feature in description.input]
        assert types == [131104] * 3  # INT32
        types = [feature.type.multiArrayType.dataType for feature in description.output]
        assert types == [65568] * 2  # FLOAT32


@pytest.mark.parametrize(
    ("kind", "precision", "form", "layout"),
    [("distilbert", "fp16", "flexible", "plain"), ("bert", "fp16", "functions", "ane")],
)
def test_card_is_read_back(kind: str, precision: str, form: str, layout: str) -> None:
    path = package(kind, precision, form, layout)
    description = coreml_package.read(path).description
    about = description.metadata
    assert (about.author, about.license, about.versionString) == ("an author", "a licence", "7")
    assert about.shortDescription == SPANS.summary  # the card has none
    found = coreml_package.metadata(path)
    assert found["vocabulary"] == VOCABULARY
    assert found["lower_case"] == "true" and found["limits"] == '{"stride": 128}'
    for function in description.functions or [description]:
        for feature in (*function.input, *function.output):
            assert "(1, S)" in feature.shortDescription


def test_same_model_same_bytes_quietly(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    again = export_many(model("distilbert"), tmp_path, ["int4", "fp16", "int4"], card=CARD)
    assert capfd.readouterr() == ("", "")
    assert list(again) == ["int4", "fp16"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("student-fp16.mlpackage", "student-int4.mlpackage")
    ]
    for precision, path in again.items():
        first = package("distilbert", precision)
        for name in (coreml_package.MANIFEST, coreml_package.MODEL, coreml_package.WEIGHTS):
            assert (path / name).read_bytes() == (first / name).read_bytes(), name


def test_a_package_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deep" / "a.mlpackage"
    source = package("distilbert", "fp16")
    spec, weights = coreml_package.read(source), (source / coreml_package.WEIGHTS).read_bytes()
    coreml_package.write(spec, weights, path)
    (path / "left over").write_text("of an older package")
    coreml_package.write(spec, weights, path)
    assert sorted(each.name for each in path.iterdir()) == ["Data", "Manifest.json"]
    older = {each: each.read_bytes() for each in path.rglob("*") if each.is_file()}

    def fail(self: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(ConversionError, match=r"cannot write .*No space left"):
        coreml_package.write(spec, weights, path)
    monkeypatch.undo()
    kept = {each: each.read_bytes() for each in path.rglob("*") if each.is_file()}
    assert kept == older, "the older one is still whole"
    assert list(path.parent.iterdir()) == [path]


def test_refuses_what_it_cannot_export(tmp_path: Path) -> None:
    small = tiny_model("distilbert", max_position_embeddings=20)
    path = tmp_path / "a.mlpackage"
    for message, options in (
        (r"precision 'int3': choose from int8, fp32", {"precision": "int3"}),
        (r"form 'square': choose from flexible", {"form": "square"}),
        (r"layout 'gpu': choose from plain", {"layout": "gpu"}),
        (r"length 21 .* 1 to 20", {"length": 21}),
        (r"length 16, 48 .* 1 to 20", {"form": "functions", "lengths": (48, 16)}),
        (r"length none .* 1 to 20", {"form": "functions", "lengths": ()}),
        (r"called 'vocabulary'", {"card": ModelCard(facts={"vocabulary": "x"})}),
    ):
        with pytest.raises(ConversionError, match=message):
            export_coreml(small, path, **{"length": 16, **options})  # type: ignore[arg-type]
    odd = tiny_model("distilbert", dim=40, n_heads=4, max_position_embeddings=20)
    with pytest.raises(ConversionError, match=r"multiples of 32: choose int8"):
        export_coreml(odd, path, precision="int4", length=16)
    with pytest.raises(ConversionError, match=r"ends in .mlpackage"):
        coreml_package.write(
            coreml_package.read(package("distilbert", "fp16")), b"", tmp_path / "a"
        )
    assert list(tmp_path.iterdir()) == []


def test_palette_of_few_values_is_exact() -> None:
    values = np.linspace(-1, 1, PALETTE).astype(np.float16)
    weight = np.random.default_rng(0).choice(values, (50, 40))
    palette, codes = _palette(weight)
    assert palette.dtype == np.float16 and palette.shape == (PALETTE,)
    assert codes.dtype == np.uint8 and (palette[codes].reshape(50, 40) == weight).all()


@pytest.mark.parametrize("shape", ["normal", "heavy", "outliers", "few"])
def test_palette_is_as_good_as_scikit_learns(shape: str) -> None:
    from sklearn.cluster import KMeans

    draw = np.random.default_rng(1)
    weight = {
        "normal": draw.normal(0, 0.05, (64, 64)),
        "heavy": 0.03 * draw.standard_t(3, (64, 64)),
        "outliers": np.concatenate([draw.normal(0, 0.02, (64, 64)), np.full((64, 1), 3.0)], 1),
        "few": draw.integers(-60, 60, (64, 64)) / 64,
    }[shape].astype(np.float16)
    palette, codes = _palette(weight)
    flat = weight.ravel().astype(np.float64)
    distances = np.abs(flat[:, None] - palette.astype(np.float64))
    assert (distances[np.arange(flat.size), codes] == distances.min(1)).all(), "the nearest entry"
    theirs = KMeans(PALETTE, n_init=4, random_state=0).fit(flat[:, None]).inertia_
    # Cuts within a cell are a local optimum, and palettes are rounded to fp16 on top.
    assert (distances.min(1) ** 2).sum() < 1.01 * theirs


def test_a_gap_does_not_take_the_palette() -> None:
    weight = np.random.default_rng(2).normal(0, 0.05, 3000).astype(np.float16)
    palette, codes = _palette(weight)
    far_palette, far_codes = _palette(np.append(weight, np.float16(1e4)))
    assert far_palette[-1] == 1e4
    ours, theirs = (
        ((entries[each].astype(np.float64) - weight) ** 2).sum()
        for entries, each in ((far_palette, far_codes[:-1]), (palette, codes))
    )
    assert ours < 1.1 * theirs  # 63 entries in place of 64: 3 %; and coarser cells
