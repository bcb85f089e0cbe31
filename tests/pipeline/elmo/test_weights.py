# SPDX-License-Identifier: Apache-2.0
"""Published weights: the layout by hand, TensorFlow's equations, and files that are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import elmo_files
import h5py
import numpy as np
import pytest
import torch

from pipeline.elmo import characters, weights
from pipeline.elmo.network import Shape
from pipeline.errors import UserError

Tensors = dict[str, np.ndarray]


def sigmoid(values: np.ndarray) -> np.ndarray:
    return (1 + np.tanh(values / 2)) / 2


def tensorflow_words(tensors: Tensors, ids: np.ndarray) -> np.ndarray:
    """bilm-tf's words, from raised ids (W, 50) to (W, projection), in its own layout."""
    table = tensors["char_embed"][ids - 1]  # (W, 50, width)
    found = []
    for place, size in enumerate((1, 2, 3)):
        kernel = tensors[f"CNN/W_cnn_{place}"][0]  # (size, width, number)
        parts = [
            np.einsum("wsd,sdn->wn", table[:, start : start + size], kernel)
            for start in range(50 - size + 1)
        ]
        found.append(np.maximum(np.max(parts, axis=0) + tensors[f"CNN/b_cnn_{place}"], 0))
    states = np.concatenate(found, axis=1)
    for place in range(2):
        high = {part: tensors[f"CNN_high_{place}/{part}"] for part in ("W_carry", "b_carry")}
        carry = sigmoid(states @ high["W_carry"] + high["b_carry"])
        raw = states @ tensors[f"CNN_high_{place}/W_transform"]
        transformed = np.maximum(raw + tensors[f"CNN_high_{place}/b_transform"], 0)
        states = carry * transformed + (1 - carry) * states
    return states @ tensors["CNN_proj/W_proj"] + tensors["CNN_proj/b_proj"]


def tensorflow_lstm(tensors: Tensors, direction: int, place: int, words: np.ndarray) -> np.ndarray:
    """TensorFlow's LSTMCell with projection and clips: (W, projection) to the same shape."""
    cell = f"RNN_{direction}/RNN/MultiRNNCell/Cell{place}/LSTMCell"
    memory, state, found = np.zeros(10), np.zeros(6), []
    for word in words:
        gates = np.concatenate([word, state]) @ tensors[f"{cell}/W_0"] + tensors[f"{cell}/B"]
        i, j, f, o = np.split(gates, 4)
        memory = np.clip(sigmoid(f + 1) * memory + sigmoid(i) * np.tanh(j), -0.9, 0.9)
        state = np.clip((sigmoid(o) * np.tanh(memory)) @ tensors[f"{cell}/W_P_0"], -0.8, 0.8)
        found.append(state)
    return np.array(found)


def test_loaded_weights_compute_what_tensorflow_computes(tmp_path: Path) -> None:
    stored = elmo_files.tensors(seed=1, scale=1.0)
    elmo = weights.load(*elmo_files.write(tmp_path, stored, cell_clip=0.9, proj_clip=0.8))
    tensors = {name: values.astype(np.float64) for name, values in stored.items()}
    ids = characters.sentence_ids(["A", "ship", "passed", "Kyōto", "."])
    words = tensorflow_words(tensors, ids.numpy())
    ahead = tensorflow_lstm(tensors, 0, 0, words)
    back = tensorflow_lstm(tensors, 1, 0, words[::-1])
    layers = [
        np.concatenate([words, words], axis=1),
        np.concatenate([ahead, back[::-1]], axis=1),
        np.concatenate(
            [
                tensorflow_lstm(tensors, 0, 1, ahead) + ahead,
                (tensorflow_lstm(tensors, 1, 1, back) + back)[::-1],
            ],
            axis=1,
        ),
    ]
    assert (abs(ahead) == 0.8).any(), "no clip was active"
    with torch.no_grad():
        found = elmo.double()(ids[None])[0].numpy()
    assert found.shape == (3, 5, 12) and not elmo.training
    # Both compute in float64, from float32 weights; 1 is added to the forget bias in float32.
    np.testing.assert_allclose(found, np.stack(layers)[:, 1:-1], rtol=0, atol=1e-7)


def test_layout_of_the_published_model() -> None:
    """The shapes that AllenNLP's file "original" has."""
    found = weights.layout(Shape())
    assert found["char_embed"] == (261, 16)
    assert found["CNN/W_cnn_6"] == (1, 7, 16, 1024) and found["CNN/b_cnn_6"] == (1024,)
    assert found["CNN_high_1/W_transform"] == (2048, 2048)
    assert found["CNN_proj/W_proj"] == (2048, 512)
    cell = "RNN_1/RNN/MultiRNNCell/Cell1/LSTMCell"
    assert found[f"{cell}/W_0"] == (1024, 16384) and found[f"{cell}/B"] == (16384,)
    assert found[f"{cell}/W_P_0"] == (4096, 512)
    assert len(found) == 1 + 2 * 7 + 4 * 2 + 2 + 3 * 4


def test_check_reads_the_shape_alone(tmp_path: Path) -> None:
    shape = weights.check(*elmo_files.write(tmp_path))
    assert (shape.projection, shape.cells, shape.layers, shape.highways) == (6, 10, 2, 2)
    assert shape.filters == ((1, 4), (2, 5), (3, 3)) and shape.character_width == 3
    assert (shape.cell_clip, shape.projection_clip, shape.activation) == (3.0, 3.0, "relu")


def test_options_of_bilm_tf_itself_are_read(tmp_path: Path) -> None:
    """Its training writes 261 characters; a clip of 0 or none means no limit."""
    content = elmo_files.options(cell_clip=0, proj_clip=None)
    content["char_cnn"]["n_characters"] = 261
    (tmp_path / "options.json").write_text(json.dumps(content), "utf-8")
    shape = weights.read_options(tmp_path / "options.json")
    assert (shape.cell_clip, shape.projection_clip, shape.characters) == (None, None, 262)


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(UserError) as error:
        action()
    message = str(error.value)
    assert "\n" not in message and len(message) < 700
    return message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the file: Invalid JSON"),
        ("[1]", "the file: Input should be an object"),
        ("{}", "lstm: Field required"),
        (json.dumps(elmo_files.options(dim=-4)), "lstm.dim: Input should be greater than"),
        (json.dumps(elmo_files.options(dim=10**9)), "lstm.dim: Input should be less than"),
        (json.dumps(elmo_files.options(use_skip_connections=False)), "use_skip_connections"),
        ('{"lstm": ' + "[" * 5000, "the file: Invalid JSON"),
    ],
    ids=["empty", "list", "nothing", "negative", "huge", "no-skips", "deep"],
)
def test_other_options_are_refused(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "options.json"
    path.write_text(content, "utf-8")
    message = refused(lambda: weights.check(path, tmp_path / "absent.hdf5"))
    assert message.startswith(f"--elmo-options {path}") and said in message


def change(name: str, values: Any) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.__setitem__(name, values)


CELL = "RNN_1/RNN/MultiRNNCell/Cell1/LSTMCell"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda tensors: tensors.pop("char_embed"), "no tensor char_embed, for which"),
        (lambda tensors: tensors.pop("CNN_high_1/b_carry"), "no tensor CNN_high_1/b_carry"),
        (lambda tensors: tensors.pop(f"{CELL}/W_P_0"), f"no tensor {CELL}/W_P_0"),
        (
            change(f"{CELL}/W_0", np.zeros((40, 12), np.float32)),
            f"the tensor {CELL}/W_0 has the shape (40, 12) and type float32, but the options "
            "expect (12, 40) of floats",
        ),
        (change("CNN/b_cnn_0", np.zeros(4, np.int32)), "CNN/b_cnn_0 has the shape (4,) and type"),
        (change("CNN_proj/b_proj", h5py.Empty("f")), "CNN_proj/b_proj has the shape None"),
    ],
    ids=["embedding", "highway", "projection", "transposed", "integers", "empty"],
)
def test_another_layout_is_refused_before_training(
    damage: Callable[[Tensors], object], said: str, tmp_path: Path
) -> None:
    tensors = elmo_files.tensors()
    damage(tensors)
    paths = elmo_files.write(tmp_path, tensors)
    assert said in refused(lambda: weights.check(*paths))


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    options, file = elmo_files.write(tmp_path)
    assert "cannot read" in refused(lambda: weights.check(tmp_path / "absent.json", file))
    assert "no such file" in refused(lambda: weights.check(options, tmp_path / "absent.hdf5"))
    assert "no such file" in refused(lambda: weights.check(options, tmp_path))
    assert "cannot be opened as HDF5" in refused(lambda: weights.check(options, options))
    whole = file.read_bytes()
    for size in (0, 8, 600, len(whole) // 2, len(whole) - 100):
        file.write_bytes(whole[:size])
        assert "cannot be opened as HDF5" in refused(lambda: weights.check(options, file))


def test_groups_and_links_in_place_of_tensors_are_refused(tmp_path: Path) -> None:
    options, file = elmo_files.write(tmp_path)
    with h5py.File(file, "a") as content:
        del content["char_embed"]
        content.create_group("char_embed")
    assert "no tensor char_embed" in refused(lambda: weights.check(options, file))
    for link in (h5py.SoftLink("/absent"), h5py.ExternalLink("absent.hdf5", "/x")):
        with h5py.File(file, "a") as content:
            del content["char_embed"]
            content["char_embed"] = link
        assert "no tensor char_embed" in refused(lambda: weights.check(options, file))


def test_tensors_in_another_file_are_refused(tmp_path: Path) -> None:
    options, file = elmo_files.write(tmp_path)
    (tmp_path / "other").mkdir()
    other = elmo_files.write(tmp_path / "other")[1]
    with h5py.File(file, "a") as content:
        del content["char_embed"]
        content["char_embed"] = h5py.ExternalLink(str(other), "/char_embed")
    assert "char_embed lies in another file" in refused(lambda: weights.check(options, file))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    tensors = elmo_files.tensors()
    tensors["CNN/b_cnn_1"][2] = value
    paths = elmo_files.write(tmp_path, tensors)
    assert "CNN/b_cnn_1 has values that are not finite" in refused(lambda: weights.load(*paths))


def test_a_damaged_tensor_is_refused(tmp_path: Path) -> None:
    options, file = elmo_files.write(tmp_path)
    with h5py.File(file, "a") as content:
        values = content["char_embed"][...]
        del content["char_embed"]
        content.create_dataset("char_embed", data=values, fletcher32=True, chunks=values.shape)
        place = content["char_embed"].id.get_chunk_info(0).byte_offset
    raw = bytearray(file.read_bytes())
    raw[place] ^= 1
    file.write_bytes(raw)
    assert weights.check(options, file)
    assert "the tensor char_embed cannot be read" in refused(lambda: weights.load(options, file))
