# SPDX-License-Identifier: Apache-2.0
"""Neurons that stay: which ones, and that the model without the others is what is left of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from conftest import MakeTeacher
from torch import Tensor
from transformers import (
    AutoModelForQuestionAnswering,
    DistilBertConfig,
    DistilBertForQuestionAnswering,
)

from pipeline.errors import UserError
from pipeline.models.layers import width_of
from pipeline.models.narrowing import importance, matrices, narrowed

INNER = 24


@pytest.fixture(params=["bert", "distilbert"])
def model(request: pytest.FixtureRequest, make_teacher: MakeTeacher) -> Any:
    if request.param == "bert":
        return AutoModelForQuestionAnswering.from_pretrained(make_teacher(head="qa")).eval()
    torch.manual_seed(3)
    sizes = {"vocab_size": 60, "dim": 16, "n_heads": 2, "hidden_dim": INNER, "n_layers": 2}
    made = DistilBertForQuestionAnswering(DistilBertConfig(**sizes))
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn(weight.shape), alpha=0.2)
    return made.eval()


def batch(rows: int = 2) -> dict[str, Tensor]:
    torch.manual_seed(5)
    ids = torch.randint(5, 60, (rows, 9))
    mask = torch.ones_like(ids)
    mask[1:, 6:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def loss(model: Any, batch: Any) -> Tensor:
    out = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    value: Tensor = out.start_logits[:, 2].sum() - out.end_logits[:, 4].square().sum()
    return value


@pytest.mark.parametrize("rule", ["activation", "taylor", "random"])
def test_a_narrower_model_is_the_whole_one_with_neurons_silenced(model: Any, rule: Any) -> None:
    scores = importance(model, [batch()], loss, rule, seed=1)
    width = scores[0].numel() // 2
    small = narrowed(model, scores, width)
    for score, (_, second) in zip(scores, matrices(model), strict=True):
        lost = torch.argsort(score, descending=True, stable=True)[width:]
        with torch.no_grad():
            second.weight[:, lost] = 0.0
    with torch.no_grad():
        whole, left = model(**batch()), small(**batch())
    kept = batch()["attention_mask"].bool()
    # float32 sums in another order.
    assert torch.allclose(whole.start_logits[kept], left.start_logits[kept], atol=1e-5)
    assert torch.allclose(whole.end_logits[kept], left.end_logits[kept], atol=1e-5)
    assert {first.out_features for first, _ in matrices(small)} == {width}


def test_taylor_is_the_slope_of_the_loss_when_a_neuron_fades(model: Any) -> None:
    one = {name: rows[:1] for name, rows in batch().items()}
    scores = importance(model, [one], loss, "taylor", seed=0)
    model = model.double()
    _, second = matrices(model)[0]
    step = 1e-6
    for neuron in (0, 7, 13):
        column = second.weight[:, neuron].detach().clone()
        values = []
        for factor in (1 + step, 1 - step):
            with torch.no_grad():
                second.weight[:, neuron] = column * factor
                values.append(loss(model, one).item())
                second.weight[:, neuron] = column
        slope = abs(values[0] - values[1]) / (2 * step)
        # Central differences in float64 against gradients in float32.
        assert scores[0][neuron].item() == pytest.approx(slope, rel=1e-3, abs=1e-5)


def test_activations_of_padding_do_not_count(model: Any) -> None:
    padded = batch()
    wider = {
        "input_ids": torch.nn.functional.pad(padded["input_ids"], (0, 4), value=9),
        "attention_mask": torch.nn.functional.pad(padded["attention_mask"], (0, 4)),
    }
    for rule in ("activation", "taylor"):
        with_less = importance(model, [padded], loss, rule, seed=0)
        with_more = importance(model, [wider], loss, rule, seed=0)
        for less, more in zip(with_less, with_more, strict=True):
            assert torch.allclose(less, more, rtol=1e-3, atol=1e-5)


def test_measuring_leaves_the_model_as_it_was(model: Any) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    importance(model, [batch()], loss, "taylor", seed=0)
    assert model.training
    assert all(weight.grad is None for weight in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(second._forward_pre_hooks for _, second in matrices(model))


@pytest.mark.parametrize(
    ("wanted", "width"), [(0.5, 768), (0.25, 384), (0.001, 32), (1536, 1536), (700, 700), (1, 1)]
)
def test_widths(wanted: float, width: int) -> None:
    assert width_of(wanted, 1536) == width


@pytest.mark.parametrize("wanted", [1.5, 1537, 3072])
def test_widths_that_cannot_be(wanted: float) -> None:
    with pytest.raises(UserError, match="the feed-forward layers have 1,536 neurons"):
        width_of(wanted, 1536)
