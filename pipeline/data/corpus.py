# SPDX-License-Identifier: Apache-2.0
"""Plain text for general distillation: the embedded corpus, text files, or a hub data set."""

from __future__ import annotations

import ast
import hashlib
import itertools
import json
import re
import sys
import sysconfig
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from platform import python_version
from typing import Any

import numpy as np

from pipeline.config import Distil, Words
from pipeline.data import scripts
from pipeline.data.pieces import REMEMBERED, Pieces
from pipeline.data.sources import EMBEDDED, read_bytes
from pipeline.errors import UserError
from pipeline.hub import is_hub_id, load_dataset

PASSAGES = "passages"  # stands for the training examples among the texts of a vocabulary


@dataclass(frozen=True)
class Corpus:
    """Plain text, cut into paragraphs when they are first asked for.

    Attributes:
        name: for the report.
        key: stands for the text in the keys of stages: known at once, where reading takes seconds.
        texts: in reading order, paragraphs parted by empty lines; None stands for `python_text()`.
    """

    name: str
    key: str
    texts: tuple[str | None, ...]

    @cached_property
    def paragraphs(self) -> tuple[str, ...]:
        """In reading order, each once, white space evened out."""
        texts = (python_text() if text is None else text for text in self.texts)
        return tuple(dict.fromkeys(block for text in texts for block in _paragraphs(text)))

    @property
    def sha256(self) -> str:
        """Hex digest over the paragraphs."""
        return hashlib.sha256("\n\n".join(self.paragraphs).encode()).hexdigest()


def corpus_of(settings: Distil, texts: Sequence[str]) -> Corpus | None:
    """The text of general distillation, held in memory; None for a hub data set, which is streamed.

    Args:
        settings: name the text.
        texts: those of the training examples, which may be added.

    Raises:
        UserError: the text cannot be read, or the settings do not fit it.
    """
    sources = settings.text
    if not any(is_hub_id(source) and source != EMBEDDED for source in sources):
        return load_corpus(sources, texts if settings.passages else ())
    if len(sources) > 1:
        raise UserError(
            f"--distil.text {' '.join(sources)}: name text files and `{EMBEDDED}`, or one hub data "
            "set alone"
        )
    if not settings.optimization.max_steps:
        raise UserError(
            f"--distil.text {sources[0]} is streamed, so its length is not known: give "
            "--distil.optimization.max-steps"
        )
    return None


def words_of(settings: Words, texts: Sequence[str]) -> Corpus | None:
    """The text that decides which word pieces stay; None where there is none.

    Languages, which decide without a text, are not part of it.

    Args:
        settings: name the text.
        texts: those of the training examples, which `passages` stands for.

    Raises:
        UserError: the text cannot be read, or a language is not known.
    """
    if settings.vocabulary == "whole":
        return None
    scripts.scripts_of(settings.vocabulary_text)  # refuses a language that is not known
    files = [
        name
        for name in settings.vocabulary_text
        if name != PASSAGES and not scripts.is_language(name)
    ]
    passages = texts if PASSAGES in settings.vocabulary_text else ()
    return load_corpus(files, passages) if files or passages else None


def load_corpus(sources: Sequence[str], passages: Iterable[str] = ()) -> Corpus:
    """Reads text held in memory: `embedded` and text files.

    Args:
        sources: each `embedded` (see :func:`python_text`) or the path of a UTF-8 text file, whose
            paragraphs are parted by empty lines.
        passages: more paragraphs, such as the passages of the questions.

    Raises:
        UserError: if a file is missing, unreadable or not UTF-8, or if there is no text at all.
    """
    texts = [None if source == EMBEDDED else _read_text(source) for source in sources]
    passages = "\n\n".join(" ".join(passage.split()) for passage in passages)
    if passages:
        texts.append(passages)
    if not any(text is None or _paragraphs(text) for text in texts):
        raise UserError(
            f"no text in {', '.join(sources) or 'the corpus'}: general distillation needs some"
        )
    names = [source if source == EMBEDDED else Path(source).name for source in sources]
    keyed = json.dumps([f"Python {python_version()}" if text is None else text for text in texts])
    return Corpus(" + ".join(names), hashlib.sha256(keyed.encode()).hexdigest(), tuple(texts))


def python_text() -> str:
    """The English that CPython carries: its language reference and its library's docstrings.

    Each version of Python has its own.  Nothing is imported: the sources are parsed.
    """
    from pydoc_data import topics

    texts = [text for _, text in sorted(topics.topics.items())]
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.rglob("*.py")):
        package, *inner = path.relative_to(library).with_suffix("").parts
        if package in sys.stdlib_module_names and not any("test" in part for part in inner):
            texts += _docstrings(path.read_bytes())
    return "\n\n".join(texts)


def _docstrings(source: bytes) -> Iterator[str]:
    """Docstrings of a module, its classes and functions; none where the source does not parse."""
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


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
    return [block for block in blocks if _has_words(block)]


def _has_words(block: str) -> bool:
    """Whether there are three words in a block, of two letters or more; reads no further."""
    return next(itertools.islice(re.finditer(r"[^\W\d_]{2,}", block), 2, None), None) is not None


ENCODED = 32  # paragraphs that are tokenized in one call, which saves a third of the time


def pack(
    tokenizer: Any, paragraphs: Iterable[str], length: int, pieces: Pieces | None = None
) -> Iterator[np.ndarray]:
    """Cuts text into samples `[CLS] ... [SEP]` of at most `length` word pieces, int32 [S].

    Paragraphs run on within a sample, as in BERT's pre-training; only the last sample is shorter.

    Args:
        tokenizer: a fast BERT tokenizer of transformers.
        paragraphs: are read as they are needed.
        length: of a sample.
        pieces: of the tokenizer, for texts that are packed in turn; new ones if not given.
    """
    room = length - 2
    pieces = pieces or Pieces(tokenizer)
    frame = np.array([tokenizer.cls_token_id, tokenizer.sep_token_id], np.int32)
    left = np.empty(0, np.int32)
    paragraphs = iter(paragraphs)
    while group := list(itertools.islice(paragraphs, ENCODED)):
        left = np.concatenate([left, pieces(group)])
        whole = len(left) // room * room
        for begin in range(0, whole, room):
            yield _framed(left[begin : begin + room], frame)
        left = left[whole:]
    if len(left) >= 8:  # a sample of a few pieces teaches nothing and skews the length groups
        yield _framed(left, frame)


def pack_documents(
    tokenizer: Any, length: int, documents: Iterable[str], pieces: Pieces | None = None
) -> Iterator[np.ndarray]:
    """As :func:`pack`, from documents that are still to be cut into paragraphs."""
    paragraphs = (paragraph for document in documents for paragraph in _paragraphs(document))
    return pack(tokenizer, paragraphs, length, pieces)


def packer(
    tokenizer: Any, length: int, remembered: int = REMEMBERED
) -> Callable[[Iterable[str]], Iterator[np.ndarray]]:
    """:func:`pack_documents` for many texts, which share what is remembered of words.

    Args:
        tokenizer: a fast BERT tokenizer of transformers.
        length: of a sample.
        remembered: see :class:`Pieces`.
    """
    return partial(pack_documents, tokenizer, length, pieces=Pieces(tokenizer, remembered))


def _framed(ids: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """A sample of its own, which keeps no other one in memory."""
    sample = np.empty(len(ids) + 2, np.int32)
    sample[0], sample[-1] = frame
    sample[1:-1] = ids
    return sample


def stream_hub(source: str, column: str = "text") -> Iterator[str]:
    """Paragraphs of a hub data set's training split, streamed: nothing is stored on disk first.

    Raises:
        UserError: if the data set cannot be reached or has no such column.
    """
    for read in hub_sources(source, column):
        for document in read():
            yield from _paragraphs(document)


def hub_sources(source: str, column: str = "text") -> list[Callable[[], Iterator[str]]]:
    """Functions that each read the documents of one file of a hub data set's training split.

    Raises:
        UserError: if the data set cannot be reached; when it is read, if it has no such column.
    """
    data = load_dataset(source, "train", streaming=True)
    count = getattr(data, "num_shards", 1)
    if count == 1:
        return [partial(_whole_set, source, column)]
    shards = [data.shard(num_shards=count, index=place) for place in range(count)]
    return [partial(_documents, shard, source, column) for shard in shards]


def _whole_set(source: str, column: str) -> Iterator[str]:
    return _documents(load_dataset(source, "train", streaming=True), source, column)


def _documents(data: Any, source: str, column: str) -> Iterator[str]:
    """The texts of a streamed data set that are not empty."""
    # Rows one by one would be dealt out to the workers of a loader once more, by the data set.
    rows = (
        (dict(zip(batch, row, strict=True)) for batch in data.iter(256) for row in _across(batch))
        if hasattr(data, "iter")
        else data
    )
    for row in rows:
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
        if text:
            yield text


def _across(batch: dict[str, list[Any]]) -> Iterator[tuple[Any, ...]]:
    """The rows of a batch of columns."""
    return zip(*batch.values(), strict=True)
