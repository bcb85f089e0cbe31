# SPDX-License-Identifier: Apache-2.0
"""Attention written out: PyTorch's own fused attention is the reference."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from export_fixtures import tiny_model
from torch.nn import functional as F

from pipeline.training import attention

CPU = torch.device("cpu")


def _batch() -> dict[str, torch.Tensor]:
    mask = torch.ones(3, 9, dtype=torch.long)
    mask[1, 4:] = 0
    mask[2, 1:] = 0  # a row that sees a single token
    return {"input_ids": torch.arange(27).reshape(3, 9), "attention_mask": mask}


def test_outputs_and_gradients_are_those_of_the_fused_attention() -> None:
    """Float32: 1e-5 is some fifty roundings of values around 1."""
    generator = torch.Generator().manual_seed(7)
    first: list[Any] = [torch.randn(2, 3, 11, 8, generator=generator) for _ in range(3)]
    first = [one.requires_grad_() for one in first]
    second = [one.detach().clone().requires_grad_() for one in first]
    mask = torch.zeros(2, 1, 1, 11)
    mask[1, ..., 6:] = torch.finfo(torch.float32).min
    fused = F.scaled_dot_product_attention(first[0], first[1], first[2], attn_mask=mask)
    expected = fused.transpose(1, 2)
    query, key, value = second
    found, weights = attention.written_out(torch.nn.Module(), query, key, value, mask)
    assert weights is None
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    (expected**2).sum().backward()  # type: ignore[no-untyped-call]
    (found**2).sum().backward()  # type: ignore[no-untyped-call]
    for one, other in zip(second, first, strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_a_model_gives_the_same_hidden_states(kind: str) -> None:
    """Float32, two or three layers, layer norm last: 1e-5; in bf16, with 8 bits, 0.1, no NaN."""
    model, batch = tiny_model(kind).base_model, _batch()
    seen = batch["attention_mask"].bool()
    with torch.no_grad():
        expected = model(**batch).last_hidden_state[seen]
        with attention.fit_for(model, "bf16", CPU):
            assert model.config._attn_implementation == attention.WRITTEN_OUT
            found = model(**batch).last_hidden_state[seen]
            with torch.autocast("cpu", torch.bfloat16):
                rounded = model(**batch).last_hidden_state
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert rounded.isfinite().all()
    torch.testing.assert_close(rounded[seen].float(), expected, atol=0.1, rtol=0)


def test_weights_are_dropped_while_a_layer_is_trained() -> None:
    query = torch.ones(1, 1, 40, 4)
    layer = torch.nn.Module()
    whole, _ = attention.written_out(layer.eval(), query, query, query, None, dropout=0.5)
    torch.testing.assert_close(whole, torch.ones(1, 40, 1, 4))
    dropped, _ = attention.written_out(layer.train(), query, query, query, None, dropout=0.5)
    assert dropped.std() > 0.01


@pytest.mark.parametrize(
    ("precision", "device", "chosen"),
    [("fp32", "cpu", "sdpa"), ("bf16", "cuda", "sdpa"), ("bf16", "cpu", attention.WRITTEN_OUT)],
)
def test_only_bf16_on_a_cpu_changes_and_only_for_the_time(
    precision: str, device: str, chosen: str
) -> None:
    model = tiny_model("distilbert").base_model
    with (
        pytest.raises(KeyboardInterrupt),
        attention.fit_for(model, precision, torch.device(device)),
    ):
        assert model.config._attn_implementation == chosen
        raise KeyboardInterrupt
    assert model.config._attn_implementation == "sdpa"


def test_an_attention_that_somebody_chose_stays() -> None:
    model = tiny_model("bert").base_model
    model.config._attn_implementation = "eager"
    with attention.fit_for(model, "bf16", CPU):
        assert model.config._attn_implementation == "eager"
    assert model.config._attn_implementation == "eager"


def test_keeping_memory_twice_harms_nothing() -> None:
    attention.keep_memory()
    attention.keep_memory()
    assert torch.ones(1 << 20).sum() == 1 << 20
