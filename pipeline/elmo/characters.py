# SPDX-License-Identifier: Apache-2.0
"""From a text to words, and from words to the character ids that ELMo reads.

A word is its UTF-8 bytes between a mark of its beginning and a mark of its end, padded to 50 ids.
A sentence is its words between two words that consist of one id of their own. As in AllenNLP and
bilm-tf, every id is raised by one, so that 0 is left for the padding behind a sentence.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

WORD_LENGTH = 50  # ids of a word; longer words lose their last bytes
BEGIN_SENTENCE, END_SENTENCE = 256, 257
BEGIN_WORD, END_WORD = 258, 259
PADDING = 260  # behind the end of a short word
CHARACTERS = 262  # ids of a word after they are raised: 0 and 1 to 261

# The published weights were trained on the One Billion Word Benchmark, whose text is in the form of
# this tokenizer ("don 't", not "do n't").
LANGUAGE = "en"


def split(text: str) -> tuple[str, ...]:
    """The words and punctuation marks of an English text, by the rules of Moses.

    The baseline of GLUE used NLTK's `word_tokenize` instead, whose sentence splitter is a model to
    be downloaded. Both separate punctuation; they differ in contractions, such as "don 't" and
    "do n't". A text without words gives one empty word, so that every text has a vector.
    """
    words: list[str] = _moses().tokenize(_valid(text), escape=False)
    return tuple(words) or ("",)


def word_ids(word: str) -> list[int]:
    """The `WORD_LENGTH` ids of a word, 1 to 261."""
    return _ids(_valid(word).encode()[: WORD_LENGTH - 2])


def sentence_ids(words: Sequence[str]) -> Tensor:
    """The ids of a sentence with its two ends: int64 (words + 2, `WORD_LENGTH`)."""
    ends = _ids([BEGIN_SENTENCE]), _ids([END_SENTENCE])
    return torch.tensor([ends[0], *map(word_ids, words), ends[1]])


def batch(sentences: Sequence[Sequence[str]]) -> Tensor:
    """The ids of sentences: int64 (sentences, longest + 2, `WORD_LENGTH`), 0 behind their ends."""
    return torch.nn.utils.rnn.pad_sequence([*map(sentence_ids, sentences)], batch_first=True)


def _ids(content: Sequence[int]) -> list[int]:
    marked = [BEGIN_WORD, *content, END_WORD]
    return [one + 1 for one in marked + [PADDING] * (WORD_LENGTH - len(marked))]


def _valid(text: str) -> str:
    """The text with a question mark for each lone surrogate, which UTF-8 cannot express."""
    return text.encode(errors="replace").decode()


@functools.cache
def _moses() -> Any:
    from sacremoses import MosesTokenizer  # in an extra

    return MosesTokenizer(LANGUAGE)
