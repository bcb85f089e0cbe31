# SPDX-License-Identifier: Apache-2.0
"""The batch graph says what transformers says, for any number of rows and any length."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from export_fixtures import KINDS, POSITIONS, Window, batch, hugging_face_logits, tiny_model, window

from converters import ConversionError
from converters.graphs.architecture import ACTIVATIONS
from converters.graphs.batch import BatchGraph
from converters.interface import MASK_BIAS

# float32 sums in another order; measured 2e-6 on logits of about 1.
TOLERANCE = 1e-5


def graph_logits(graph: BatchGraph, inputs: Window) -> np.ndarray:
    with torch.no_grad():
        start, end = graph(*(torch.from_numpy(array) for array in inputs))
    assert start.shape == end.shape == inputs[0].shape
    return torch.cat([start, end]).float().numpy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rows", "length"), [(1, 1), (1, 384), (3, 17), (8, 64), (2, POSITIONS)])
def test_matches_transformers(kind: str, rows: int, length: int) -> None:
    model, inputs = tiny_model(kind), batch(rows, length)
    ours = graph_logits(BatchGraph(model), inputs)
    theirs = hugging_face_logits(model, inputs)
    real = np.concatenate([inputs[1], inputs[1]]) == 1
    assert np.abs(ours - theirs)[real].max() < TOLERANCE
    assert np.isfinite(ours).all() and (ours[~real] < MASK_BIAS / 2).all()
    assert theirs.std() > 0.1 or length < 17  # a constant output would agree with anything


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_every_activation(kind: str, name: str) -> None:
    model = tiny_model(kind, **{"hidden_act" if kind == "bert" else "activation": name})
    inputs = window(30)
    ours = graph_logits(BatchGraph(model), inputs)
    assert np.abs(ours - hugging_face_logits(model, inputs)).max() < TOLERANCE


def test_leaves_the_given_model_alone() -> None:
    model = tiny_model("bert").train()
    before = copy.deepcopy(model.state_dict())
    graph = BatchGraph(model)
    assert model.training and all(weight.requires_grad for weight in model.parameters())
    assert not graph.training and graph.max_length == POSITIONS
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name]), name


def test_refuses_what_it_cannot_restate() -> None:
    with pytest.raises(ConversionError, match="quick_gelu"):
        BatchGraph(tiny_model("bert", hidden_act="quick_gelu"))
    with pytest.raises(ConversionError, match="DistilBertModel"):
        BatchGraph(tiny_model("distilbert").distilbert)
