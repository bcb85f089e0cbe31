# SPDX-License-Identifier: Apache-2.0
"""The baseline of GLUE around ELMo (Wang et al. 2018, "GLUE", section 5), for one task.

ELMo's vectors take the place of word vectors. A BiLSTM reads them, its states are reduced to their
maximum over the words, and a pair becomes [u; v; |u - v|; u * v]. The rates of dropout are those of
the authors' code and of the version of AllenNLP that it calls.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from pipeline.elmo.network import Elmo, LayerMix, lengths


@dataclass(frozen=True)
class Head:
    """What the baseline adds to ELMo; the defaults are the published ones.

    Attributes:
        width: units of a direction of the BiLSTM.
        layers: layers of the BiLSTM.
        hidden: units of the classifier's hidden layer.
        dropout: share of values dropped before and after the BiLSTM, and in the classifier.
        elmo_dropout: share of values dropped of ELMo's mixed vectors.
    """

    width: int = 1500
    layers: int = 2
    hidden: int = 512
    dropout: float = 0.2
    elmo_dropout: float = 0.5


class Baseline(nn.Module):
    """ELMo, whose weights stay as they are, and a model that learns one task from its vectors.

    Args:
        elmo: is frozen here; the mix of its layers is trained.
        head: sizes of the rest.
        outputs: number of classes; None to predict one number. Classes have a hidden layer, a
            number has none, as in the authors' code.
        pair: whether an example consists of two sentences.
    """

    def __init__(self, elmo: Elmo, head: Head, outputs: int | None, *, pair: bool) -> None:
        super().__init__()
        self.elmo = elmo.requires_grad_(False)
        self.pair = pair
        self.mix = LayerMix(elmo.shape)
        self.elmo_dropout = nn.Dropout(head.elmo_dropout)
        self.dropout = nn.Dropout(head.dropout)
        self.encoder = nn.LSTM(
            elmo.shape.output_width,
            head.width,
            num_layers=head.layers,
            bidirectional=True,
            batch_first=True,
        )
        width = (8 if pair else 2) * head.width
        self.head: nn.Module = nn.Linear(width, 1)
        if outputs is not None:
            self.head = nn.Sequential(
                nn.Dropout(head.dropout),
                nn.Linear(width, head.hidden),
                nn.Tanh(),
                nn.Dropout(head.dropout),
                nn.Linear(head.hidden, outputs),
            )

    def forward(self, first: Tensor, second: Tensor | None = None) -> Tensor:
        """Map int64 (batch, words + 2, characters) of each sentence to (batch, outputs).

        A model for pairs needs `second`, whose sentences may have another length.
        """
        u = self._encode(first)
        if second is None:
            return self.head(u)  # type: ignore[no-any-return]
        v = self._encode(second)
        return self.head(torch.cat([u, v, (u - v).abs(), u * v], dim=1))  # type: ignore[no-any-return]

    def _encode(self, characters: Tensor) -> Tensor:
        """Map int64 (batch, words + 2, characters) to (batch, 2 * width)."""
        with torch.no_grad():
            layers = self.elmo(characters)
        vectors = self.dropout(self.elmo_dropout(self.mix(layers)))  # (B, W, 2 projection)
        ends = lengths(characters) - 2
        packed = pack_padded_sequence(vectors, ends.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.encoder(packed)[0], batch_first=True)
        behind = torch.arange(states.shape[1], device=ends.device)[None] >= ends[:, None]  # (B, W)
        states = self.dropout(states).masked_fill(behind[:, :, None], -torch.inf)
        return torch.amax(states, dim=1)  # (B, W, 2 width) -> (B, 2 width)
