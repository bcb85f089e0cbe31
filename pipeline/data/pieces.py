# SPDX-License-Identifier: Apache-2.0
"""Word pieces of plain text; each distinct word is tokenized once, and remembered.

Most words of a text are ones that were seen before.  To look one up takes a small part of the time
that a tokenizer needs to normalize, cut and match it again.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

REMEMBERED = 2**18  # words, some 50 MB in each process


class Pieces:
    """The word pieces of paragraphs.

    Args:
        tokenizer: a fast tokenizer of transformers that neither cuts nor pads.
        remembered: the most words to remember; with 0, every paragraph is tokenized as a whole.
            The pieces are the same.
    """

    def __init__(self, tokenizer: Any, remembered: int = REMEMBERED) -> None:
        self.backend = tokenizer.backend_tokenizer
        self.remembered = remembered if _parts_words(self.backend) else 0
        self.words: dict[str, bytes] = {}  # the pieces of each as int32

    def __call__(self, paragraphs: Sequence[str]) -> np.ndarray:
        """The pieces of all paragraphs, one after another, without special tokens: int32 [N]."""
        if not self.remembered:
            return np.frombuffer(b"".join(self._encoded(paragraphs)), np.int32)
        words = " ".join(paragraphs).split(" ")
        new = list(set(words).difference(self.words))
        if len(self.words) + len(new) > self.remembered:
            self.words.clear()
            new = list(set(words))
        if new:
            self.words.update(zip(new, self._encoded(new), strict=True))
        return np.frombuffer(b"".join(map(self.words.__getitem__, words)), np.int32)

    def _encoded(self, texts: Sequence[str]) -> list[bytes]:
        """The pieces of each text."""
        found = self.backend.encode_batch_fast(list(texts), add_special_tokens=False)
        return [array("i", encoding.ids).tobytes() for encoding in found]


def _parts_words(backend: Any) -> bool:
    """Whether a tokenizer of `tokenizers` gives a text the pieces that its words have alone.

    Words are what lies between spaces.  BERT's normalizer looks at one character at a time but for
    marks that combine with the character before them, and its pre-tokenizer parts words at spaces.
    A token that somebody added may hold a space, though.
    """
    from tokenizers import models, normalizers, pre_tokenizers

    return (
        isinstance(backend.normalizer, normalizers.BertNormalizer)
        and isinstance(backend.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
        and isinstance(backend.model, models.WordPiece)
        and backend.truncation is None
        and backend.padding is None
        and not any(
            len(token.content.split()) != 1 or " " in token.content
            for token in backend.get_added_tokens_decoder().values()
        )
    )
