# SPDX-License-Identifier: Apache-2.0
"""ELMo at its published size, and the sentence-pair model around it, for time and size alone.

ELMo is Peters et al. 2018 ("Deep contextualized word representations") as AllenNLP released it
("original", 93.6 million parameters).  The model around it is the baseline of Wang et al. 2018
("GLUE", section 5): ELMo in place of word vectors, a BiLSTM of two layers and 1,500 units a
direction, the maximum over the words, and [u; v; |u - v|; u * v] of two sentences.

Left out: dropout, and the clipping of the cells at 3, which keeps trained weights in bounds and
costs two element-wise operations a step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """Sizes; the defaults are the released ones.

    Attributes:
        characters: bytes, marks of a word's and a sentence's ends, padding.
        character_width: of a character's vector.
        filters: (width, number) of the convolutions over a word's characters.
        highways: layers of Srivastava et al. 2015 behind them.
        projection: width of a direction's states.
        cells: of an LSTM, before the projection.
        layers: of LSTMs.
        pair_width: of the BiLSTM around ELMo, a direction.
        pair_layers: of that BiLSTM.
    """

    characters: int = 262
    character_width: int = 16
    filters: tuple[tuple[int, int], ...] = (
        *((1, 32), (2, 32), (3, 64), (4, 128)),
        *((5, 256), (6, 512), (7, 1024)),
    )
    highways: int = 2
    projection: int = 512
    cells: int = 4096
    layers: int = 2
    pair_width: int = 1500
    pair_layers: int = 2


class Words(nn.Module):
    """Characters to a vector for each word: convolutions, highways, projection."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = sum(number for _, number in shape.filters)
        self.embedding = nn.Embedding(shape.characters, shape.character_width)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(shape.character_width, number, size) for size, number in shape.filters
        )
        self.highways = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(shape.highways))
        self.projection = nn.Linear(width, shape.projection)

    def forward(self, characters: Tensor) -> Tensor:
        """Map int64 (batch, words, characters) to (batch, words, projection)."""
        batch, words, _ = characters.shape
        each = self.embedding(characters.flatten(0, 1))  # (B, W, C) -> (B W, C) -> (B W, C, 16)
        each = each.transpose(1, 2)  # (B W, 16, C)
        # (B W, number, C - size + 1) -> (B W, number)
        found = [conv(each).amax(dim=2).relu() for conv in self.convolutions]
        states = torch.cat(found, dim=1)
        for highway in self.highways:
            other, gate = highway(states).chunk(2, dim=1)
            gate = gate.sigmoid()
            states = gate * states + (1 - gate) * other.relu()
        return self.projection(states).view(batch, words, -1)  # type: ignore[no-any-return]


class Elmo(nn.Module):
    """Characters to contextual word vectors: a weighted sum of words and both LSTM layers."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.words = Words(shape)
        self.forwards = nn.ModuleList(_lstm(shape) for _ in range(shape.layers))
        self.backwards = nn.ModuleList(_lstm(shape) for _ in range(shape.layers))
        self.mix = nn.Parameter(torch.zeros(shape.layers + 1))
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, characters: Tensor) -> Tensor:
        """Map int64 (batch, words + 2, characters) to (batch, words, 2 * projection).

        The first and the last word are the sentence's ends, of which no vector is returned. No
        word is padding: sentences of a batch have the same length.
        """
        words = self.words(characters)
        ahead = _direction(self.forwards, words)
        back = [states.flip(1) for states in _direction(self.backwards, words.flip(1))]
        layers = [torch.cat(both, dim=2) for both in zip(ahead, back, strict=True)]
        weights = self.mix.softmax(0)
        mixed = (torch.stack(layers, dim=3) * weights).sum(
            dim=3
        )  # (B, W + 2, 2 projection, layers)
        return self.scale * mixed[:, 1:-1]


class PairScorer(nn.Module):
    """GLUE's baseline for STS-B: how similar two sentences are."""

    def __init__(self, elmo: Elmo, shape: Shape) -> None:
        super().__init__()
        self.elmo = elmo
        self.encoder = nn.LSTM(
            2 * shape.projection,
            shape.pair_width,
            num_layers=shape.pair_layers,
            bidirectional=True,
            batch_first=True,
        )
        self.head = nn.Linear(8 * shape.pair_width, 1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Map two sentences, as `Elmo.forward` takes them, to (batch, 1)."""
        # (B, W, 2 projection) -> (B, W, 2 width) -> (B, 2 width)
        u, v = (self.encoder(self.elmo(sentence))[0].amax(dim=1) for sentence in (first, second))
        return self.head(torch.cat([u, v, (u - v).abs(), u * v], dim=1))  # type: ignore[no-any-return]


def parameters(module: nn.Module) -> int:
    """Number of weights; without the second biases that PyTorch adds to ELMo's LSTMs."""
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad)


def _lstm(shape: Shape) -> nn.LSTM:
    """One layer and direction. PyTorch's has two biases, which add up; ELMo's has one."""
    lstm = nn.LSTM(shape.projection, shape.cells, proj_size=shape.projection, batch_first=True)
    lstm.register_parameter("bias_hh_l0", nn.Parameter(torch.zeros(4 * shape.cells), False))
    return lstm


def _direction(lstms: nn.ModuleList, words: Tensor) -> list[Tensor]:
    """States of one direction: the words, then each layer's; all but the first add their input."""
    layers = [words]
    for depth, lstm in enumerate(lstms):
        states, _ = lstm(layers[-1])
        layers.append(states + layers[-1] if depth else states)
    return layers
