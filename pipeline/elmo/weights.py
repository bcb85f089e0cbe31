# SPDX-License-Identifier: Apache-2.0
"""Published weights of ELMo: `options.json` and `weights.hdf5` as AllenNLP distributes them.

The file holds the variables of bilm-tf, which trained the model in TensorFlow: matrices stand the
other way round than in PyTorch, the gates are in the order input, cell, forget, output, and the
cell adds 1 to the bias of the forget gate.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pydantic
import torch
from torch import Tensor

from converters import one_line
from pipeline.data.sources import read_bytes
from pipeline.elmo.characters import WORD_LENGTH
from pipeline.elmo.network import Elmo, Shape
from pipeline.errors import UserError

FORGET_BIAS = 1.0

Count = Annotated[int, pydantic.Field(strict=True, ge=1, le=65_536)]
Few = Annotated[int, pydantic.Field(strict=True, ge=1, le=64)]
Limit = Annotated[float, pydantic.Field(ge=0)]  # 0: none
Width = Annotated[int, pydantic.Field(strict=True, ge=1, le=WORD_LENGTH)]


class _Embedding(pydantic.BaseModel):
    dim: Count


class _CharCnn(pydantic.BaseModel):
    activation: Literal["relu", "tanh"]
    filters: Annotated[list[tuple[Width, Count]], pydantic.Field(min_length=1, max_length=64)]
    n_highway: Annotated[int, pydantic.Field(strict=True, ge=0, le=64)]
    embedding: _Embedding
    n_characters: Literal[261, 262] = 262  # bilm-tf writes 261, without the padding
    max_characters_per_token: Literal[50] = 50


class _Lstm(pydantic.BaseModel):
    use_skip_connections: Literal[True]
    projection_dim: Count
    dim: Count
    n_layers: Few
    cell_clip: Limit | None = None
    proj_clip: Limit | None = None


class _Options(pydantic.BaseModel):
    """What this project reads of `options.json`; the rest describes the training."""

    lstm: _Lstm
    char_cnn: _CharCnn


def read_options(options: Path) -> Shape:
    """The sizes of a model, from its `options.json`.

    Raises:
        UserError: the file cannot be read, is not JSON, or describes another kind of model.
    """
    try:
        read = _Options.model_validate_json(read_bytes(options))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(
            f"--elmo-options {options} does not describe an ELMo that reads characters: {place}: "
            f"{one_line(first['msg'])}; give the options.json that belongs to the weights"
        ) from error
    return Shape(
        character_width=read.char_cnn.embedding.dim,
        filters=tuple(read.char_cnn.filters),
        activation=read.char_cnn.activation,
        highways=read.char_cnn.n_highway,
        projection=read.lstm.projection_dim,
        cells=read.lstm.dim,
        layers=read.lstm.n_layers,
        cell_clip=read.lstm.cell_clip or None,
        projection_clip=read.lstm.proj_clip or None,
    )


def layout(shape: Shape) -> dict[str, tuple[int, ...]]:
    """The names of the file's tensors with their shapes."""
    width, cells, projection = shape.word_width, shape.cells, shape.projection
    tensors: dict[str, tuple[int, ...]] = {
        "char_embed": (shape.characters - 1, shape.character_width)  # without the padding's row
    }
    for place, (size, number) in enumerate(shape.filters):
        tensors[f"CNN/W_cnn_{place}"] = (1, size, shape.character_width, number)
        tensors[f"CNN/b_cnn_{place}"] = (number,)
    for place in range(shape.highways):
        for part in ("carry", "transform"):
            tensors[f"CNN_high_{place}/W_{part}"] = (width, width)
            tensors[f"CNN_high_{place}/b_{part}"] = (width,)
    tensors |= {"CNN_proj/W_proj": (width, projection), "CNN_proj/b_proj": (projection,)}
    for direction in range(2):
        for place in range(shape.layers):
            cell = _cell(direction, place)
            tensors[f"{cell}/W_0"] = (2 * projection, 4 * cells)  # the input's rows, the state's
            tensors[f"{cell}/B"] = (4 * cells,)
            tensors[f"{cell}/W_P_0"] = (cells, projection)
    return tensors


def check(options: Path, weights: Path) -> Shape:
    """Refuses what `load` could not use, without reading the tensors.

    Call it before any training.

    Returns:
        The sizes of the model.

    Raises:
        UserError: a file is missing or not in the format, or a tensor is missing or of another
            shape than the options say; the message names it with both shapes.
    """
    shape = read_options(options)
    with _opened(weights) as file:
        for name, expected in layout(shape).items():
            _dataset(file, name, expected, weights)
    return shape


def load(options: Path, weights: Path) -> Elmo:
    """The published model, float32 and in evaluation mode.

    Raises:
        UserError: as `check`; or a tensor is damaged or has values that are not finite.
    """
    shape = check(options, weights)
    with _opened(weights) as file:
        tensors = {
            name: _values(_dataset(file, name, expected, weights), name, weights)
            for name, expected in layout(shape).items()
        }
    with torch.device("meta"):  # every weight comes from the file: none is drawn
        elmo = Elmo(shape)
    elmo.load_state_dict(_state(tensors, shape), assign=True)
    return elmo.eval()


def _cell(direction: int, place: int) -> str:
    return f"RNN_{direction}/RNN/MultiRNNCell/Cell{place}/LSTMCell"


@contextmanager
def _opened(weights: Path) -> Iterator[Any]:
    """The HDF5 file."""
    import h5py  # in an extra

    if not weights.is_file():
        raise UserError(
            f"--elmo-weights {weights}: no such file; give the weights.hdf5 of a published ELMo"
        )
    try:
        file = h5py.File(weights, "r")
    except OSError as error:
        raise UserError(
            f"--elmo-weights {weights} cannot be opened as HDF5 ({one_line(error, 120)}): give the "
            "weights.hdf5 of a published ELMo, or download it again"
        ) from error
    with file:
        yield file


def _dataset(file: Any, name: str, expected: tuple[int, ...], weights: Path) -> Any:
    """A tensor that is still on disk, of the expected shape."""
    import h5py  # in an extra

    try:
        found = file.get(name)
    except (KeyError, OSError, RuntimeError):  # a link to nothing, or a damaged group
        found = None
    if isinstance(found, h5py.Dataset) and (
        Path(found.file.filename) != Path(file.filename) or found.external or found.is_virtual
    ):
        raise UserError(
            f"--elmo-weights {weights}: the tensor {name} lies in another file; give the "
            "weights.hdf5 of a published ELMo"
        )
    if not isinstance(found, h5py.Dataset):
        raise UserError(
            f"--elmo-weights {weights} has no tensor {name}, for which the options expect the "
            f"shape {expected}: the two files belong to different models, or one is damaged"
        )
    if found.shape != expected or found.dtype.kind != "f":
        raise UserError(
            f"--elmo-weights {weights}: the tensor {name} has the shape {found.shape} and type "
            f"{found.dtype}, but the options expect {expected} of floats; give the options.json "
            "that belongs to the weights"
        )
    return found


def _values(dataset: Any, name: str, weights: Path) -> Tensor:
    try:
        values = np.asarray(dataset[...], dtype=np.float32)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"--elmo-weights {weights}: the tensor {name} cannot be read "
            f"({one_line(error, 120)}); download the file again"
        ) from error
    if not np.isfinite(values).all():
        raise UserError(
            f"--elmo-weights {weights}: the tensor {name} has values that are not finite; download "
            "the file again"
        )
    return torch.from_numpy(values)


def _state(tensors: dict[str, Tensor], shape: Shape) -> dict[str, Tensor]:
    """The tensors by PyTorch's names and in its layout."""
    table = tensors["char_embed"]
    state = {"words.embedding.weight": torch.cat([table.new_zeros(1, table.shape[1]), table])}
    for place in range(len(shape.filters)):
        kernel = tensors[f"CNN/W_cnn_{place}"][0]  # (1, size, width, number) -> (size, width, ...)
        state[f"words.convolutions.{place}.weight"] = kernel.permute(2, 1, 0).contiguous()
        state[f"words.convolutions.{place}.bias"] = tensors[f"CNN/b_cnn_{place}"]
    for place in range(shape.highways):
        for part in ("carry", "transform"):
            name = f"words.highways.{place}.{part}"
            state[f"{name}.weight"] = tensors[f"CNN_high_{place}/W_{part}"].T.contiguous()
            state[f"{name}.bias"] = tensors[f"CNN_high_{place}/b_{part}"]
    state["words.projection.weight"] = tensors["CNN_proj/W_proj"].T.contiguous()
    state["words.projection.bias"] = tensors["CNN_proj/b_proj"]
    for direction, stack in enumerate(("forwards", "backwards")):
        for place in range(shape.layers):
            cell, name = _cell(direction, place), f"{stack}.{place}"
            both = _gates(tensors[f"{cell}/W_0"].T)  # (4 cells, 2 projection)
            bias = _gates(tensors[f"{cell}/B"])
            bias[shape.cells : 2 * shape.cells] += FORGET_BIAS
            state[f"{name}.input_weight"] = both[:, : shape.projection].contiguous()
            state[f"{name}.state_weight"] = both[:, shape.projection :].contiguous()
            state[f"{name}.bias"] = bias
            state[f"{name}.projection"] = tensors[f"{cell}/W_P_0"].T.contiguous()
    return state


def _gates(rows: Tensor) -> Tensor:
    """A copy in PyTorch's order of gates (i, f, g, o), of rows in TensorFlow's (i, g, f, o)."""
    into, new, keep, out = rows.chunk(4)
    return torch.cat([into, keep, new, out])
