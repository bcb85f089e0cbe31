# SPDX-License-Identifier: Apache-2.0
"""The export graph says what transformers says, at every length, padded or not, in fp16 too."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from export_fixtures import KINDS, POSITIONS, hugging_face_logits, tiny_model, window
from torch import nn

from converters import ConversionError
from converters.graphs.mobile import ACTIVATIONS, MobileGraph
from converters.interface import MASK_BIAS

# float32 sums in another order; measured 2e-6 on logits of about 1.
TOLERANCE = 1e-5


def graph_logits(graph: MobileGraph, inputs: tuple[np.ndarray, ...]) -> np.ndarray:
    with torch.no_grad():
        start, end = graph(*(torch.from_numpy(array) for array in inputs))
    assert start.shape == end.shape == inputs[0].shape
    return torch.cat([start, end]).float().numpy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("length", "padding"), [(1, 0), (2, 1), (17, 5), (384, 0), (384, 200), (POSITIONS, 1)]
)
def test_matches_transformers(kind: str, length: int, padding: int) -> None:
    model, inputs = tiny_model(kind), window(length, padding)
    ours = graph_logits(MobileGraph(model), inputs)
    theirs = hugging_face_logits(model, inputs)
    real = inputs[1][0] == 1
    assert np.abs(ours - theirs)[:, real].max() < TOLERANCE
    assert theirs.std() > 0.1 or length < 17  # a constant output would agree with anything


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing_and_never_wins(kind: str) -> None:
    graph = MobileGraph(tiny_model(kind))
    ids, mask, segment_ids = window(60, 23)
    padded = graph_logits(graph, (ids, mask, segment_ids))
    natural = graph_logits(graph, (ids[:, :37], mask[:, :37], segment_ids[:, :37]))
    assert np.abs(padded[:, :37] - natural).max() < TOLERANCE
    assert np.isfinite(padded).all()
    assert padded[:, 37:].max() < natural.min() + MASK_BIAS / 2


def test_segments_matter_to_bert_only() -> None:
    ids, mask, segment_ids = window(40)
    for kind, expected in (("bert", True), ("distilbert", False)):
        graph = MobileGraph(tiny_model(kind))
        first, second = (graph_logits(graph, (ids, mask, s)) for s in (segment_ids, 0 * mask))
        assert (np.abs(first - second).max() > 1e-3) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_every_activation(kind: str, name: str) -> None:
    model = tiny_model(kind, **{"hidden_act" if kind == "bert" else "activation": name})
    inputs = window(30)
    ours = graph_logits(MobileGraph(model), inputs)
    assert np.abs(ours - hugging_face_logits(model, inputs)).max() < TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_finite_and_near(kind: str) -> None:
    model, inputs = tiny_model(kind), window(384, 100)
    ours = graph_logits(MobileGraph(model).half(), inputs)
    assert np.isfinite(ours).all()
    # fp16 keeps 11 bits; measured 3e-3 on logits of about 1.
    assert np.abs(ours - hugging_face_logits(model, inputs))[:, :284].max() < 2e-2


def test_normalization_of_a_constant_row_is_finite_in_half_precision() -> None:
    model = tiny_model("distilbert")
    with torch.no_grad():
        for table in ("word_embeddings", "position_embeddings"):
            model.distilbert.embeddings.get_submodule(table).weight.fill_(0.5)
    assert np.isfinite(graph_logits(MobileGraph(model).half(), window(9))).all()


@pytest.mark.parametrize("kind", KINDS)
def test_leaves_the_given_model_alone(kind: str) -> None:
    model = tiny_model(kind).train()
    before = copy.deepcopy(model.state_dict())
    graph = MobileGraph(model)
    assert model.training and all(weight.requires_grad for weight in model.parameters())
    assert not graph.training and graph.max_length == POSITIONS
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name]), name


def test_refuses_what_it_cannot_restate() -> None:
    with pytest.raises(ConversionError, match=r"quick_gelu.*gelu, gelu_new"):
        MobileGraph(tiny_model("bert", hidden_act="quick_gelu"))
    with pytest.raises(ConversionError, match=r"3 outputs.*num_labels=2"):
        MobileGraph(tiny_model("bert", num_labels=3))
    with pytest.raises(ConversionError, match=r"Linear.*ForQuestionAnswering"):
        MobileGraph(nn.Linear(2, 2))
    with pytest.raises(ConversionError, match="DistilBertModel"):
        MobileGraph(tiny_model("distilbert").distilbert)
