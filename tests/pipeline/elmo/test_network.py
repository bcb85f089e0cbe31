# SPDX-License-Identifier: Apache-2.0
"""ELMo against PyTorch's own LSTM and against its equations, one word at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from pipeline.elmo.network import Elmo, LayerMix, Lstm, Shape, Words, parameters

SHAPE = Shape(
    characters=20, character_width=3, filters=((1, 4), (2, 5), (3, 3)), projection=6, cells=10
)
OPEN = replace(SHAPE, cell_clip=None, projection_clip=None)


def test_lstm_without_clipping_is_pytorchs() -> None:
    torch.manual_seed(1)
    lstm = Lstm(OPEN).double()
    other = nn.LSTM(6, 10, proj_size=6, batch_first=True).double()
    words = torch.randn(3, 7, 6).double()
    with torch.no_grad():
        other.weight_ih_l0.copy_(lstm.input_weight)
        other.weight_hh_l0.copy_(lstm.state_weight)
        other.bias_ih_l0.copy_(lstm.bias)
        other.bias_hh_l0.zero_()
        other.weight_hr_l0.copy_(lstm.projection)
        # Sums of at most 16 products in float64, in another order.
        torch.testing.assert_close(lstm(words), other(words)[0], rtol=0, atol=1e-12)


def _steps(lstm: Lstm, inputs: Tensor) -> Tensor:
    """An LSTM with projection and clipping, gate by gate: (B, W, in) to (B, W, projection)."""
    weights = [weight.detach() for weight in (lstm.input_weight, lstm.state_weight, lstm.bias)]
    gates = list(zip(*(weight.chunk(4) for weight in weights), strict=True))
    cell = inputs.new_zeros(inputs.shape[0], 10)
    state = inputs.new_zeros(inputs.shape[0], 6)
    found = []
    for word in inputs.unbind(1):
        i, f, g, o = (word @ w.T + state @ u.T + b for w, u, b in gates)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        cell = cell if lstm.cell_clip is None else cell.clip(-lstm.cell_clip, lstm.cell_clip)
        state = (o.sigmoid() * cell.tanh()) @ lstm.projection.detach().T
        limit = lstm.projection_clip
        state = state if limit is None else state.clip(-limit, limit)
        found.append(state)
    return torch.stack(found, dim=1)


@pytest.mark.parametrize("clips", [(0.2, None), (None, 0.1), (0.2, 0.1)])
def test_cells_and_projections_are_clipped(clips: tuple[float | None, float | None]) -> None:
    torch.manual_seed(2)
    lstm = Lstm(replace(OPEN, cell_clip=clips[0], projection_clip=clips[1])).double()
    free = Lstm(OPEN).double()
    free.load_state_dict(lstm.state_dict())
    words = torch.randn(2, 6, 6).double() * 4
    with torch.no_grad():
        found = lstm(words)
        torch.testing.assert_close(found, _steps(lstm, words), rtol=0, atol=1e-12)
        assert not torch.allclose(found, free(words), atol=1e-3), "no clip was active"
    assert clips[1] is None or found.abs().max() == clips[1]


def _words(module: Words, characters: Tensor) -> Tensor:
    """Each word by itself, each convolution a sum over its window."""
    rows = []
    for word in characters[0]:
        table = module.embedding.weight[word]  # (C, width)
        found = []
        for conv in module.convolutions:
            weight, bias = conv.weight, conv.bias  # (number, width, size)
            size = weight.shape[2]
            each = [
                torch.einsum("nws,sw->n", weight, table[start : start + size]) + bias
                for start in range(len(word) - size + 1)
            ]
            found.append(torch.stack(each).max(dim=0).values.clamp(min=0))
        state = torch.cat(found)
        for highway in module.highways:
            other = (highway.transform.weight @ state + highway.transform.bias).clamp(min=0)
            gate = (highway.carry.weight @ state + highway.carry.bias).sigmoid()
            state = gate * other + (1 - gate) * state
        rows.append(module.projection.weight @ state + module.projection.bias)
    return torch.stack(rows)[None]


def test_elmo_is_the_sum_of_its_steps() -> None:
    torch.manual_seed(3)
    model, mix = Elmo(SHAPE).double().eval(), LayerMix(SHAPE).double()
    with torch.no_grad():
        mix.weights.copy_(torch.tensor([0.3, -1.0, 2.0]))
        mix.gamma.fill_(1.7)
        characters = torch.randint(1, SHAPE.characters, (1, 9, 12))
        tokens = _words(model.words, characters)
        ahead = _steps(model.forwards[0], tokens)
        ahead_2 = _steps(model.forwards[1], ahead) + ahead
        back = _steps(model.backwards[0], tokens.flip(1))
        back_2 = _steps(model.backwards[1], back) + back
        layers = [
            torch.cat([tokens, tokens], 2),
            torch.cat([ahead, back.flip(1)], 2),
            torch.cat([ahead_2, back_2.flip(1)], 2),
        ]
        weights = mix.weights.exp() / mix.weights.exp().sum()
        expected = 1.7 * sum(w * x for w, x in zip(weights, layers, strict=True))
        found = mix(model(characters))
    assert found.shape == (1, 7, 2 * SHAPE.projection)
    # Sums of a few dozen products in float64, in another order.
    torch.testing.assert_close(found, expected[:, 1:-1], rtol=1e-9, atol=1e-12)


def test_mix_by_hand() -> None:
    mix = LayerMix(SHAPE)
    layers = torch.tensor([1.0, 10.0, 100.0])[None, :, None, None].expand(1, 3, 2, 4)
    torch.testing.assert_close(mix(layers), torch.full((1, 2, 4), 37.0))  # (1 + 10 + 100) / 3
    with torch.no_grad():
        mix.weights.copy_(torch.tensor([0.0, 0.0, torch.tensor(2.0).log()]))
        mix.gamma.fill_(2.0)
    # s = (1/4, 1/4, 2/4): 2 * (1 + 10 + 200) / 4
    torch.testing.assert_close(mix(layers), torch.full((1, 2, 4), 105.5))


def test_padding_changes_no_vector() -> None:
    torch.manual_seed(4)
    model = Elmo(SHAPE).double().eval()
    sentences = [torch.randint(1, 20, (count, 12)) for count in (4, 9, 6)]
    batch = nn.utils.rnn.pad_sequence(sentences, batch_first=True)
    with torch.no_grad():
        together = model(batch)
        for row, sentence in zip(together, sentences, strict=True):
            alone = model(sentence[None])[0]
            torch.testing.assert_close(row[:, : alone.shape[1]], alone, rtol=0, atol=1e-12)


def test_many_words_go_through_the_convolutions_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(5)
    model = Words(SHAPE).double()
    characters = torch.randint(1, 20, (3, 5, 12))
    with torch.no_grad():
        whole = model(characters)
        monkeypatch.setattr("pipeline.elmo.network.WORDS_AT_ONCE", 4)
        torch.testing.assert_close(model(characters), whole, rtol=0, atol=1e-12)


def test_tanh_is_the_other_activation() -> None:
    torch.manual_seed(6)
    relu, tanh = Words(SHAPE), Words(replace(SHAPE, activation="tanh"))
    tanh.load_state_dict(relu.state_dict())
    characters = torch.randint(1, 20, (1, 2, 12))
    assert not torch.allclose(relu(characters), tanh(characters))
    with torch.no_grad():  # max of tanh is tanh of max, in the first convolution
        first = tanh.convolutions[0](tanh.embedding(characters[0]).transpose(1, 2))
    assert tanh.activation(first.amax(2)).equal(first.tanh().amax(2))


def test_weights_are_counted_whether_or_not_they_are_trained() -> None:
    model = Elmo(SHAPE)
    lstm = 4 * 10 * (6 + 6 + 1) + 10 * 6
    words = 20 * 3 + sum(n * (s * 3 + 1) for s, n in SHAPE.filters) + 4 * 13 * 12 + 13 * 6
    assert parameters(model) == parameters(model.requires_grad_(False)) == words + 4 * lstm
