# SPDX-License-Identifier: Apache-2.0
"""From a text or a pair to word pieces: `[CLS] text [SEP]`, or `[CLS] text [SEP] pair [SEP]`.

What is too long is cut as transformers' `truncation=True` does it, the longer text first, so that
training, evaluation, the golden cases and an app all see the same pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.tasks.text_classification.data import Text


@dataclass(frozen=True, eq=False)
class Feature:
    """One input of the model, and its label where it is for training.

    Attributes:
        ids: int32 [S], word-piece ids.
        segment_ids: int32 [S], 0 up to and including the first [SEP], 1 after it.
        label: the place of the class, an int; or the number to predict, a float.
    """

    ids: np.ndarray
    segment_ids: np.ndarray
    label: int | float = 0

    @property
    def length(self) -> int:
        """Number of tokens, S."""
        return len(self.ids)


def kept(first: int, second: int, room: int) -> tuple[int, int]:
    """How many pieces of two texts stay, the longer one cut first.

    Where both are longer than half of the room, each keeps a half, and an odd piece goes to the
    longer one; of two that are equally long, to the second.

    Args:
        first: pieces of the first text.
        second: pieces of the second.
        room: for both together.
    """
    short, long = sorted((first, second))
    if short > room // 2:
        short = min(short, room // 2)
    long = min(long, room - short)
    return (long, short) if first > second else (short, long)


def encode(tokenizer: Any, text: str, pair: str | None, max_length: int) -> Feature:
    """The input of a text or of a pair.

    Args:
        tokenizer: a fast BERT tokenizer of transformers.
        text: the text, or the first of a pair.
        pair: the second; None for a single text.
        max_length: in word pieces, special tokens included.
    """
    cls_id, sep_id = tokenizer.cls_token_id, tokenizer.sep_token_id
    first = _pieces(tokenizer, text)
    if pair is None:
        ids = [cls_id, *first[: max_length - 2], sep_id]
        return Feature(np.asarray(ids, np.int32), np.zeros(len(ids), np.int32))
    second = _pieces(tokenizer, pair)
    one, two = kept(len(first), len(second), max_length - 3)
    ids = [cls_id, *first[:one], sep_id, *second[:two], sep_id]
    segment_ids = np.zeros(len(ids), np.int32)
    segment_ids[one + 2 :] = 1
    return Feature(np.asarray(ids, np.int32), segment_ids)


def _pieces(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def training_features(
    tokenizer: Any,
    examples: Sequence[Text],
    max_length: int,
    labels: Sequence[int] | Sequence[float],
) -> list[Feature]:
    """Every example with its label, in the same order."""
    return [
        replace(encode(tokenizer, one.text, one.pair, max_length), label=label)
        for one, label in zip(examples, labels, strict=True)
    ]
