# SPDX-License-Identifier: Apache-2.0
"""A tiny ELMo as AllenNLP publishes one: options.json and weights.hdf5, of random values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np


def options(**changes: Any) -> dict[str, Any]:
    """The content of options.json; `changes` replace values of its LSTM."""
    lstm = {"use_skip_connections": True, "projection_dim": 6, "dim": 10, "n_layers": 2}
    lstm |= {"cell_clip": 3, "proj_clip": 3, **changes}
    cnn = {"activation": "relu", "filters": [[1, 4], [2, 5], [3, 3]], "n_highway": 2}
    cnn |= {"embedding": {"dim": 3}, "n_characters": 262, "max_characters_per_token": 50}
    return {"lstm": lstm, "char_cnn": cnn, "n_train_tokens": 768648884}


def tensors(seed: int = 0, scale: float = 0.3) -> dict[str, np.ndarray]:
    """Every tensor of the file by its name, with the shapes written out."""
    shapes: dict[str, tuple[int, ...]] = {"char_embed": (261, 3)}
    for place, (size, number) in enumerate(((1, 4), (2, 5), (3, 3))):
        shapes |= {f"CNN/W_cnn_{place}": (1, size, 3, number), f"CNN/b_cnn_{place}": (number,)}
    for place in range(2):
        high = f"CNN_high_{place}"
        shapes |= {f"{high}/W_carry": (12, 12), f"{high}/b_carry": (12,)}
        shapes |= {f"{high}/W_transform": (12, 12), f"{high}/b_transform": (12,)}
    shapes |= {"CNN_proj/W_proj": (12, 6), "CNN_proj/b_proj": (6,)}
    for direction in range(2):
        for place in range(2):
            cell = f"RNN_{direction}/RNN/MultiRNNCell/Cell{place}/LSTMCell"
            shapes |= {f"{cell}/W_0": (12, 40), f"{cell}/B": (40,), f"{cell}/W_P_0": (10, 6)}
    generator = np.random.default_rng(seed)
    return {
        name: generator.normal(0, scale, shape).astype(np.float32) for name, shape in shapes.items()
    }


def write(
    folder: Path, content: dict[str, np.ndarray] | None = None, **changes: Any
) -> tuple[Path, Path]:
    """Writes both files; returns the paths of the options and of the weights."""
    description, weights = folder / "options.json", folder / "weights.hdf5"
    description.write_text(json.dumps(options(**changes)), "utf-8")
    with h5py.File(weights, "w") as file:
        for name, values in (tensors() if content is None else content).items():
            file[name] = values
    return description, weights
