# SPDX-License-Identifier: Apache-2.0
"""Sentence pairs as long as those of STS-B, of random characters and word pieces."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

# The project does not contain STS-B, whose sentences are captions, headlines and forum posts. This
# module assumes 12 words on average, including punctuation, in a log-normal distribution (a tenth
# has fewer than 5.6, a tenth more than 20), and 1.1 word pieces per word (bert-base-uncased needs
# 1.03 to 1.09 for the English of this project).
MEAN_WORDS = 12.0
SPREAD = 0.5  # of the logarithm
FEWEST_WORDS, MOST_WORDS = 3, 50
PIECES_PER_WORD = 1.1
ASSUMED = (
    f"the words per sentence are log-normal with mean {MEAN_WORDS:g}, sigma {SPREAD:g} and limits "
    f"{FEWEST_WORDS} and {MOST_WORDS}, and each word has {PIECES_PER_WORD:g} word pieces"
)

# What the GLUE scripts of 2019 padded to.
PAD_TO = 128

# ELMo reads as many bytes of every word, long or short.
WORD_CHARACTERS = 50


@dataclass(frozen=True, eq=False)
class Pair:
    """Two sentences, as each model takes them; int64.

    Attributes:
        characters: (1, words + 2, `WORD_CHARACTERS`) of each sentence, with its ends.
        pieces: ids, mask and segments of both, (1, S) each.
        padded: the same, (1, `PAD_TO`).
    """

    characters: tuple[Tensor, Tensor]
    pieces: tuple[Tensor, Tensor, Tensor]
    padded: tuple[Tensor, Tensor, Tensor]


def words(count: int, seed: int) -> list[int]:
    """Draw the words of `count` sentences, stratified: few draws have the right mean already."""
    generator = np.random.default_rng(seed)
    places = (generator.permutation(count) + generator.random(count)) / count
    normal = statistics.NormalDist(math.log(MEAN_WORDS) - SPREAD**2 / 2, SPREAD)
    drawn = (round(math.exp(normal.inv_cdf(place))) for place in np.clip(places, 1e-9, 1 - 1e-9))
    return [min(max(number, FEWEST_WORDS), MOST_WORDS) for number in drawn]


def pairs(count: int, characters: int, vocabulary: int, seed: int) -> list[Pair]:
    """Sentence pairs of random characters and word pieces.

    Args:
        count: how many.
        characters: ids from 0 to one less.
        vocabulary: ids of word pieces from 0 to one less.
        seed: of everything.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = words(2 * count, seed)

    def sentence(number: int) -> Tensor:
        return torch.randint(characters, (1, number + 2, WORD_CHARACTERS), generator=generator)

    found = []
    for first, second in zip(drawn[::2], drawn[1::2], strict=True):
        own = [round(PIECES_PER_WORD * number) for number in (first, second)]
        length = sum(own) + 3  # [CLS] first [SEP] second [SEP]
        ids = torch.randint(vocabulary, (1, length), generator=generator)
        segments = (torch.arange(length) >= own[0] + 2).long()[None]  # (S,) -> (1, S)
        pieces = (ids, torch.ones_like(ids), segments)
        extra = (0, max(0, PAD_TO - length))
        one, two, three = (pad(each, extra) for each in pieces)
        found.append(Pair((sentence(first), sentence(second)), pieces, (one, two, three)))
    return found
