# SPDX-License-Identifier: Apache-2.0
"""A vocabulary cut to the word pieces that some texts use, with the rows of the embedding table.

WordPiece takes the longest piece that fits, again and again (Wu et al. 2016, section 4.1).  If all
pieces of a word are kept, the smaller vocabulary cuts it in the same way: each of them still fits,
and a longer one would have fitted before.  A word that loses a piece is spelled with shorter ones.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from pipeline.files.tokenizer import describe_tokenizer, tokenizer_of, vocabulary_lines

# The table of the embeddings, which has a row for each piece.
TABLE = "embeddings.word_embeddings.weight"


def kept_pieces(tokenizer: Any, used: Iterable[int]) -> list[int]:
    """The ids that stay, ascending.

    They are those used, the special and the added tokens, and whatever spells all other words:
    every single character, at the beginning of a word and within one.  A piece with a character
    that the vocabulary has in one of these forms only stays as well, because other pieces could not
    always take its place.

    Args:
        tokenizer: a fast BERT tokenizer.
        used: ids of pieces that must stay.
    """
    description = describe_tokenizer(tokenizer)
    known = tokenizer.get_vocab()
    prefix = description["continuation"]
    kept = set(used)
    kept |= {entry["id"] for entry in (*description["special"].values(), *description["added"])}
    for piece, place in known.items():
        letters = piece.removeprefix(prefix)
        in_brackets = piece.startswith("[") and piece.endswith("]") and len(piece) > 2
        if len(letters) == 1 or (
            not in_brackets and any(c not in known or prefix + c not in known for c in letters)
        ):
            kept.add(place)
    return sorted(kept)


def trimmed_tokenizer(tokenizer: Any, kept: Sequence[int], folder: Path) -> Any:
    """The tokenizer that has the kept pieces alone, numbered from 0 in their old order.

    Args:
        tokenizer: a fast BERT tokenizer.
        kept: ascending ids, from `kept_pieces`.
        folder: gets its vocab.txt.
    """
    new = {old: place for place, old in enumerate(kept)}
    lines = vocabulary_lines(tokenizer)
    path = folder / "vocab.txt"
    path.write_bytes("".join(f"{lines[old]}\n" for old in kept).encode())
    description = describe_tokenizer(tokenizer)
    for entry in (*description["special"].values(), *description["added"]):
        entry["id"] = new[entry["id"]]
    trimmed = tokenizer_of(path, description)
    trimmed.model_max_length = tokenizer.model_max_length
    return trimmed


def trimmed_model(model: Any, kept: Sequence[int]) -> Any:
    """A copy of the model with the kept rows of its embedding table alone.

    Args:
        model: a BERT or a DistilBERT of transformers with a head for a task, on the CPU.
        kept: ascending ids, from `kept_pieces`.
    """
    config = copy.deepcopy(model.config)
    new = {old: place for place, old in enumerate(kept)}
    config.vocab_size = len(kept)
    config.pad_token_id = new[config.pad_token_id]
    state = {
        name: tensor[torch.tensor(kept)] if name.endswith(TABLE) else tensor
        for name, tensor in model.state_dict().items()
    }
    trimmed = type(model)(config)
    trimmed.load_state_dict(state)
    return trimmed.eval()
