# SPDX-License-Identifier: Apache-2.0
"""ELMo (Peters et al. 2018, "Deep contextualized word representations").

Words are read character by character, through the convolutions and highways of Kim et al. 2016 and
Jozefowicz et al. 2016. Two stacks of LSTMs with projections follow, one for each direction. What a
task uses is a weighted sum of the words and of the states of every layer (equation 1).

Every sentence begins with empty states. AllenNLP's class is stateful instead: it carries the states
from one batch to the next, so its vectors depend on what it read before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.elmo.characters import CHARACTERS

# The convolutions need 50 times the memory of a word's vector, so that many words go through them
# in parts of this many.
WORDS_AT_ONCE = 1_024


@dataclass(frozen=True)
class Shape:
    """Sizes; the defaults are those of the published model "original", of 93.6 million parameters.

    Attributes:
        characters: ids of characters, with 0 for padding.
        character_width: width of a character's vector.
        filters: (width, number) of each convolution over a word's characters.
        activation: function behind the convolutions.
        highways: layers of Srivastava et al. 2015 behind the convolutions.
        projection: width of a word's vector and of a direction's states.
        cells: cells of an LSTM, before its projection.
        layers: LSTMs of a direction.
        cell_clip: largest absolute value of a cell; None for no limit.
        projection_clip: largest absolute value of a projected state; None for no limit.
    """

    characters: int = CHARACTERS
    character_width: int = 16
    filters: tuple[tuple[int, int], ...] = (
        *((1, 32), (2, 32), (3, 64), (4, 128)),
        *((5, 256), (6, 512), (7, 1024)),
    )
    activation: Literal["relu", "tanh"] = "relu"
    highways: int = 2
    projection: int = 512
    cells: int = 4096
    layers: int = 2
    cell_clip: float | None = 3.0
    projection_clip: float | None = 3.0

    @property
    def word_width(self) -> int:
        """Number of filters: the width of a word's vector before it is projected."""
        return sum(number for _, number in self.filters)

    @property
    def output_width(self) -> int:
        """Width of the vectors that a task receives: both directions."""
        return 2 * self.projection


class Highway(nn.Module):
    """carry * relu(transform(x)) + (1 - carry) * x, with carry = sigmoid(carry(x))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.transform, self.carry = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, states: Tensor) -> Tensor:
        """Map (words, width) to the same shape."""
        carry = self.carry(states).sigmoid()
        return carry * self.transform(states).relu() + (1 - carry) * states  # type: ignore[no-any-return]


class Words(nn.Module):
    """From characters to a vector of each word: convolutions, highways, projection."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.activation = torch.relu if shape.activation == "relu" else torch.tanh
        self.embedding = nn.Embedding(shape.characters, shape.character_width)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(shape.character_width, number, size) for size, number in shape.filters
        )
        self.highways = nn.ModuleList(Highway(shape.word_width) for _ in range(shape.highways))
        self.projection = nn.Linear(shape.word_width, shape.projection)

    def forward(self, characters: Tensor) -> Tensor:
        """Map int64 (batch, words, characters) to (batch, words, projection)."""
        parts = torch.split(characters.flatten(0, 1), WORDS_AT_ONCE)  # (B, W, C) -> (B W, C)
        words = torch.cat([self._each(part) for part in parts])  # (B W, projection)
        return words.view(*characters.shape[:2], -1)  # (B, W, projection)

    def _each(self, characters: Tensor) -> Tensor:
        """Map int64 (N, C) to (N, projection)."""
        each = self.embedding(characters).transpose(1, 2)  # (N, C, 16) -> (N, 16, C)
        # (N, number, C - size + 1) -> (N, number)
        found = [self.activation(conv(each).amax(dim=2)) for conv in self.convolutions]
        states = torch.cat(found, dim=1)
        for highway in self.highways:
            states = highway(states)
        return self.projection(states)  # type: ignore[no-any-return]


class Lstm(nn.Module):
    """One layer and direction: an LSTM whose state is projected (Sak et al. 2014) and clipped.

    Its tensors are those of `torch.nn.LSTM` with `proj_size`, in the same order of gates (input,
    forget, cell, output), less the second bias. PyTorch's class cannot clip.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.cell_clip, self.projection_clip = shape.cell_clip, shape.projection_clip
        width, cells = shape.projection, shape.cells
        self.input_weight = nn.Parameter(torch.empty(4 * cells, width))
        self.state_weight = nn.Parameter(torch.empty(4 * cells, width))
        self.bias = nn.Parameter(torch.empty(4 * cells))
        self.projection = nn.Parameter(torch.empty(width, cells))
        for weight in self.parameters():
            nn.init.uniform_(weight, -1 / math.sqrt(cells), 1 / math.sqrt(cells))

    def forward(self, words: Tensor) -> Tensor:
        """Map (batch, words, width) to the states (batch, words, width), from the first word on."""
        inputs = F.linear(words, self.input_weight, self.bias)  # (B, W, 4 cells)
        state = inputs.new_zeros(len(words), self.projection.shape[0])
        cell = inputs.new_zeros(len(words), self.projection.shape[1])
        states = []
        for word in inputs.unbind(1):
            gates = word + F.linear(state, self.state_weight)  # (B, 4 cells)
            into, keep, new, out = gates.chunk(4, dim=1)
            cell = _clip(keep.sigmoid() * cell + into.sigmoid() * new.tanh(), self.cell_clip)
            state = F.linear(out.sigmoid() * cell.tanh(), self.projection)
            state = _clip(state, self.projection_clip)
            states.append(state)
        return torch.stack(states, dim=1)


class Elmo(nn.Module):
    """The bidirectional language model, without its softmax: characters to states of all layers."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.words = Words(shape)
        self.forwards = nn.ModuleList(Lstm(shape) for _ in range(shape.layers))
        self.backwards = nn.ModuleList(Lstm(shape) for _ in range(shape.layers))

    def forward(self, characters: Tensor) -> Tensor:
        """Map int64 (batch, words + 2, characters) to (batch, layers + 1, words, 2 * projection).

        The first and the last word are the sentence's ends, for which no vectors are returned. The
        vectors behind the end of a shorter sentence have no meaning, but change no other.
        """
        words = self.words(characters)
        ends = lengths(characters)
        ahead = _stack(self.forwards, words)
        back = [_reverse(states, ends) for states in _stack(self.backwards, _reverse(words, ends))]
        layers = [torch.cat(both, dim=2) for both in zip(ahead, back, strict=True)]
        return torch.stack(layers, dim=1)[:, :, 1:-1]  # (B, layers + 1, W, 2 projection)


class LayerMix(nn.Module):
    """gamma * sum of s_j h_j, where s is a softmax (Peters et al. 2018, equation 1)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(shape.layers + 1))
        self.gamma = nn.Parameter(torch.ones(()))

    def forward(self, layers: Tensor) -> Tensor:
        """Map (batch, layers + 1, words, width) to (batch, words, width)."""
        return self.gamma * torch.einsum("l,blwd->bwd", self.weights.softmax(0), layers)


def lengths(characters: Tensor) -> Tensor:
    """Words of each sentence with its two ends, int64 (batch,), of (batch, words, characters)."""
    return (characters[:, :, 0] > 0).sum(dim=1)


def parameters(module: nn.Module) -> int:
    """Number of weights, whether or not they are trained."""
    return sum(weight.numel() for weight in module.parameters())


def _clip(values: Tensor, limit: float | None) -> Tensor:
    return values if limit is None else values.clamp(-limit, limit)


def _reverse(words: Tensor, ends: Tensor) -> Tensor:
    """The words of each sentence from its last to its first; what is behind them stays there."""
    places = torch.arange(words.shape[1], device=words.device)[None]  # (1, W)
    back = ends[:, None] - 1 - places  # (B, W)
    index = torch.where(back >= 0, back, places)[:, :, None].expand_as(words)  # (B, W, width)
    return words.gather(1, index)


def _stack(lstms: nn.ModuleList, words: Tensor) -> list[Tensor]:
    """The words, then the states of each layer; all layers but the first add their input."""
    layers = [words]
    for depth, lstm in enumerate(lstms):
        states = lstm(layers[-1])
        layers.append(states + layers[-1] if depth else states)
    return layers
