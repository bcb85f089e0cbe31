# SPDX-License-Identifier: Apache-2.0
"""A simulated file gives the logits of the real one, whatever is in int4."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from export_fixtures import INT4, KINDS, exported, hugging_face_logits, tiny_model, window
from numpy.typing import NDArray

from converters import ConversionError
from converters.runtimes.open import open_predictor
from converters.runtimes.predictor import Predictor
from converters.runtimes.simulated import Simulated, rounded, rounded_rows
from converters.tflite.mixed import BLOCK, group_names, modules_of

# Most logits agree to 5e-7, out of about 1.8. Rarely a sum in another order puts an input on the
# other side of the edge between two levels, which moved logits by up to 0.019 (measured). Rounding
# the weights to int8 moves them by 0.06, and to int4 by 0.6.
TOLERANCE = 0.04


def logits(predictor: Predictor) -> NDArray[np.float32]:
    """Of every token of three windows, one after the other, float32 (2, tokens)."""
    outputs = []
    for length, padding in ((1, 0), (24, 5), (100, 0)):
        inputs = window(length, padding, seed=length)
        outputs.append(np.stack(predictor.run(*inputs))[:, : length - padding])
    return np.concatenate(outputs, axis=1)


@pytest.mark.parametrize("kind", KINDS)
def test_simulated_files_give_the_logits_of_real_ones(kind: str) -> None:
    simulated = Simulated(tiny_model(kind))
    real = {name: logits(open_predictor(path)) for name, path in exported(kind).items()}
    for name, int4 in (("int8", ()), ("mixed", INT4)):
        simulated.store(int4)
        found = logits(simulated)
        off = np.abs(found - real[name])
        assert off.max() < TOLERANCE and np.median(off) < 1e-4, (name, off.max(), np.median(off))
        # The other files are far off, so that this proves something.
        for other in {"fp32", "int8", "mixed"} - {name}:
            assert np.abs(found - real[other]).mean() > 5 * off.mean(), other


def test_in_float32_it_is_the_model() -> None:
    model = tiny_model("distilbert")
    simulated, inputs = Simulated(model), window(40)
    expected = hugging_face_logits(model, inputs)
    np.testing.assert_allclose(np.stack(simulated.run(*inputs)), expected, atol=1e-5)
    simulated.store(["words"])
    assert np.abs(np.stack(simulated.run(*inputs)) - expected).max() > 1e-3
    simulated.store(rest="fp32")  # and again: rounding is undone
    np.testing.assert_allclose(np.stack(simulated.run(*inputs)), expected, atol=1e-5)


def test_one_group_at_a_time_moves_less_than_all() -> None:
    simulated, inputs = Simulated(tiny_model("bert")), window(40)
    plain = np.stack(simulated.run(*inputs))
    moved = {}
    for groups in (*([name] for name in simulated.bytes_saved), list(simulated.bytes_saved)):
        simulated.store(groups, rest="fp32")
        moved[" + ".join(groups)] = np.abs(np.stack(simulated.run(*inputs)) - plain).mean()
    *alone, together = moved.values()
    assert min(alone) > 0 and max(alone) < together


def test_what_int4_saves_is_what_a_file_loses() -> None:
    simulated = Simulated(tiny_model("distilbert"))
    assert tuple(simulated.bytes_saved) == group_names(2)
    sizes = {name: exported("distilbert")[name].stat().st_size for name in ("int8", "mixed")}
    saved = sum(simulated.bytes_saved[name] for name in INT4)
    # The file also loses the scales of int8 channels, and gains the descriptions of blocks.
    assert saved == pytest.approx(sizes["int8"] - sizes["mixed"], abs=2500)
    assert simulated.bytes_saved["words"] == 120 * 32 // 2 - 120 * 2


def test_sizes_that_blocks_do_not_fit_stay_in_int8() -> None:
    simulated = Simulated(tiny_model("distilbert", hidden_dim=80))
    assert "layer 0 feed-forward" not in simulated.bytes_saved
    assert "layer 0 attention" in simulated.bytes_saved
    with pytest.raises(ConversionError, match="'layer 0 feed-forward' cannot be stored in int4"):
        simulated.store(["layer 0 feed-forward"])
    assert not Simulated(tiny_model("distilbert", dim=40)).bytes_saved


def test_refuses_groups_and_lengths_that_it_does_not_have() -> None:
    simulated = Simulated(tiny_model("distilbert"))
    with pytest.raises(ConversionError, match="choose from words, positions, layer 0 attention"):
        simulated.store(["layer 7 attention"])
    with pytest.raises(ConversionError, match="pass 1 to 512"):
        simulated.run(*window(513))
    with pytest.raises(ConversionError, match="no group of weights is called 'head'"):
        modules_of("head")


@pytest.mark.parametrize(("bits", "block"), [(8, 64), (8, 320), (4, BLOCK)])
def test_rounded_weights_are_integers_times_a_scale(bits: int, block: int) -> None:
    torch.manual_seed(0)
    weight = torch.randn(5, 64)
    weight[2] = 0
    found = rounded(weight, bits, block)
    assert found.shape == weight.shape and (found[2] == 0).all()
    scale = weight.reshape(-1, block).abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
    steps = (found - weight).reshape(-1, block).abs() / scale.clamp_min(1e-9)
    # Half a step; a scale in bfloat16, with 8 bits, moves the largest value by 7/512 of a step.
    assert steps.max() <= 0.5 + 0.015 * (bits == 4)
    assert len(found.reshape(-1, block)[0].unique()) <= 2**bits


def test_rounded_rows_have_256_levels_and_keep_zero() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(6, 500) + torch.tensor([[0.0], [5.0], [-5.0], [0.1], [0.0], [0.0]])
    hidden[4], hidden[5, ::2] = 0, 0
    found = rounded_rows(hidden)
    step = (hidden.amax(1).clamp_min(0) - hidden.amin(1).clamp_max(0)) / 255
    assert ((found - hidden).abs().amax(1) <= step * 1.001).all()
    assert (found[hidden == 0] == 0).all()
    assert all(len(row.unique()) <= 256 for row in found)
