# SPDX-License-Identifier: Apache-2.0
"""Plain text for general distillation: the embedded corpus, text files, or a hub data set."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.squad import EMBEDDED, read_bytes
from pipeline.errors import UserError
from pipeline.hub import load_dataset


@dataclass(frozen=True)
class Corpus:
    """Plain text cut into paragraphs.

    Attributes:
        name: for the report.
        sha256: of the paragraphs.
        paragraphs: in reading order.
    """

    name: str
    sha256: str
    paragraphs: tuple[str, ...]


def load_corpus(sources: Sequence[str], passages: Iterable[str] = ()) -> Corpus:
    """Reads text held in memory: `embedded` and text files.

    Args:
        sources: each `embedded` (the language reference that Python carries, `pydoc_data.topics`)
            or the path of a UTF-8 text file, whose paragraphs are parted by empty lines.
        passages: more paragraphs, such as the passages of the questions.

    Raises:
        UserError: if a file is missing, unreadable or not UTF-8, or if there is no text at all.
    """
    paragraphs: list[str] = []
    for source in sources:
        paragraphs += _paragraphs(_help_text() if source == EMBEDDED else _read_text(source))
    paragraphs += [" ".join(passage.split()) for passage in passages]
    paragraphs = list(dict.fromkeys(paragraphs))
    if not paragraphs:
        raise UserError(
            f"no text in {', '.join(sources) or 'the corpus'}: general distillation needs some"
        )
    digest = hashlib.sha256("\n\n".join(paragraphs).encode()).hexdigest()
    names = [s if s == EMBEDDED else Path(s).name for s in sources]
    return Corpus(" + ".join(names), digest, tuple(paragraphs))


def _help_text() -> str:
    """The language reference that CPython carries for `help()`; each version has its own."""
    from pydoc_data import topics

    return "\n\n".join(text for _, text in sorted(topics.topics.items()))


def _read_text(source: str) -> str:
    """A text file's content, or a UserError that says what is wrong with it."""
    path = Path(source)
    if not path.is_file():
        raise UserError(f"no text file {source}: name UTF-8 text files or `{EMBEDDED}`")
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{source} is not UTF-8 text (byte {error.start}): convert it") from error


def _paragraphs(text: str) -> list[str]:
    """Blocks parted by empty lines, white space evened out, rules and frames left out."""
    blocks = (" ".join(block.split()) for block in re.split(r"\n\s*\n", text))
    return [block for block in blocks if len(re.findall(r"[^\W\d_]{2,}", block)) >= 3]


def pack(tokenizer: Any, paragraphs: Iterable[str], length: int) -> Iterator[np.ndarray]:
    """Cuts text into samples `[CLS] ... [SEP]` of at most `length` word pieces, int32 [S].

    Paragraphs run on within a sample, as in BERT's pre-training; only the last sample is shorter.
    """
    room = length - 2
    buffer: list[int] = []
    for paragraph in paragraphs:
        buffer += tokenizer.backend_tokenizer.encode(paragraph, add_special_tokens=False).ids
        while len(buffer) >= room:
            yield _framed(tokenizer, buffer[:room])
            buffer = buffer[room:]
    if len(buffer) >= 8:  # a sample of a few pieces teaches nothing and skews the length groups
        yield _framed(tokenizer, buffer)


def _framed(tokenizer: Any, ids: list[int]) -> np.ndarray:
    return np.asarray([tokenizer.cls_token_id, *ids, tokenizer.sep_token_id], dtype=np.int32)


def stream_hub(source: str, column: str = "text") -> Iterator[str]:
    """Paragraphs of a hub data set's training split, streamed: nothing is stored on disk first.

    Raises:
        UserError: if the data set cannot be reached or has no such column.
    """
    for row in load_dataset(source, "train", streaming=True):
        if column not in row:
            raise UserError(
                f"hub data set {source} has no column {column}, it has {', '.join(row)}: "
                "name one with --distil.text-column"
            )
        text = row[column] or ""  # data sets gathered from the web have empty rows
        if not isinstance(text, str):
            raise UserError(
                f"column {column} of hub data set {source} is no text but {type(text).__name__}: "
                "name another with --distil.text-column"
            )
        yield from _paragraphs(text)
