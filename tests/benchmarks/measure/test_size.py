# SPDX-License-Identifier: Apache-2.0
"""What a file's bytes are for, against the model's own parameters, in every format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from export_fixtures import KINDS, exported, exported_onnx, tiny_model

from benchmarks.measure.size import PARTS, Weight, split
from converters.runtimes.weights import stored, vocabulary_size

# Hugging Face's names, by what this package calls the part.
OWNERS = {
    "embeddings": ("embeddings.",),
    "head": ("qa_outputs.",),
    "attention": (".attention.", ".sa_layer_norm."),
}


def parts_of(model: Any) -> dict[str, int]:
    """Float32 bytes of a Hugging Face model, an independent way to the same split."""
    sizes = dict.fromkeys(PARTS, 0)
    for name, parameter in model.named_parameters():
        owner = next((p for p, marks in OWNERS.items() if any(m in name for m in marks)), None)
        sizes[owner or "feed_forward"] += parameter.numel() * 4
    return sizes


def split_of(path: Path) -> dict[str, int]:
    weights = stored(path)
    assert weights is not None
    return split((Weight(*weight) for weight in weights), path.stat().st_size)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("files", [exported, exported_onnx])
def test_float_files_hold_what_the_model_has(files: Any, kind: str) -> None:
    path, expected = files(kind)["fp32"], parts_of(tiny_model(kind))
    found = split_of(path)
    assert tuple(found) == PARTS
    # .tflite tables have 32 scales of columns each, and a block's norm its epsilon
    room = {part: 3 * 32 * 4 + 8 if part == "embeddings" else 16 for part in PARTS}
    for part in PARTS[:-1]:
        assert expected[part] <= found[part] <= expected[part] + room[part], part
    assert sum(found.values()) == path.stat().st_size
    assert found["rest"] > 0


@pytest.mark.parametrize("files", [exported, exported_onnx])
def test_quantized_files_are_split_alike(files: Any) -> None:
    for precision, path in files("distilbert").items():
        found, whole = split_of(path), parts_of(tiny_model("distilbert"))
        shrunk = {part: found[part] / whole[part] for part in ("embeddings", "attention")}
        least = {"fp32": 1, "fp16": 0.5, "int4": 0.12, "mixed": 0.12}.get(precision, 0.25)
        for part, share in shrunk.items():
            # scales and float32 biases and norms weigh much in so small a model
            room = 0.4 if precision == "mixed" else 0.25  # int8 or int4, as the group was chosen
            assert least <= share + 1e-3 and share <= least + room, (precision, part)


@pytest.mark.parametrize("neurons", [256, 128, 16])  # four times the width, and narrowed ones
def test_a_name_that_says_nothing_leaves_the_shape(neurons: int) -> None:
    weights = [
        Weight("onnx::MatMul_1", (64, 64), 1000),
        Weight("onnx::MatMul_2", (64, 64), 1000),
        Weight("onnx::MatMul_3", (64, neurons), 400),
        Weight("onnx::MatMul_4", (neurons, 64), 400),
        Weight("table", (3000, 64), 5000),
        Weight("last", (2, 64), 8),
        Weight("onnx::Add_5", (64,), 7),
    ]
    assert split(weights, 8000) == {
        "embeddings": 5000,
        "attention": 2000,
        "feed_forward": 800,
        "head": 8,
        "rest": 192,
    }


def test_names_of_hugging_face_are_known() -> None:
    for kind in KINDS:
        model = tiny_model(kind)
        weights = [Weight(n, tuple(p.shape), p.numel() * 4) for n, p in model.named_parameters()]
        assert split(weights, sum(w.bytes for w in weights)) == parts_of(model)


def test_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="list each weight once"):
        split([Weight("word_embeddings", (4, 4), 64)] * 2, 100)


def test_an_empty_file_is_all_rest() -> None:
    assert split([], 10) == {**dict.fromkeys(PARTS, 0), "rest": 10}


def test_vocabulary_is_read_from_the_file(tmp_path: Path) -> None:
    assert vocabulary_size(exported("bert")["int8"]) == 120
    assert vocabulary_size(exported_onnx("bert")["int8"]) == 120
    tiny_model("bert").save_pretrained(tmp_path)
    assert vocabulary_size(tmp_path) == 120
    assert stored(tmp_path) is None
