# SPDX-License-Identifier: Apache-2.0
"""Reads what lies beside an exported file: `model.json` and the vocabulary that it names."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from converters import plain_file, sealed
from pipeline.errors import UserError


@contextlib.contextmanager
def guarded(file: Path, *, verify: bool = True) -> Iterator[None]:
    """Checks a file that the body opens, and then that what was opened is what was checked.

    A build or a download that ends in between would put another file in its place.

    Arguments and errors are those of `guard`.
    """
    from converters.runtimes import checksums

    with checksums.unchanged([file, file.parent / checksums.DESCRIPTION]):
        guard(file, verify=verify)
        yield


def guard(file: Path, *, verify: bool = True) -> None:
    """Keeps a runtime from a file that was changed, and the process from one that kills runtimes.

    Args:
        file: an exported file, or a Hugging Face folder, of which nothing states a checksum.
        verify: whether to compare the file and what lies beside it with their checksums; a file
            that was compared is tried in a process of its own once, any other each time.

    Raises:
        ConversionError: the file is not what model.json states, or a runtime dies of it.
    """
    from converters.runtimes import checksums, trial
    from pipeline.files.targets import BY_SUFFIX

    if not verify or (file.exists() and file.suffix not in BY_SUFFIX):
        trial.attempt(file)
    elif file.exists():
        if not checksums.verify(file, listed=True):
            try:
                description(file.parent / checksums.DESCRIPTION)
            except UserError as error:
                raise UserError(f"cannot open {file}: {error}") from error
        trial.once(file)


def description(path: Path, *, verify: bool = True) -> dict[str, Any]:
    """The content of a model.json.

    Args:
        path: of the file.
        verify: whether the digest that it carries must fit.

    Raises:
        UserError: it is missing or damaged, of another schema, or says what no build writes.
    """
    from pipeline import documents

    return documents.model(path, verify=verify)


def tokenizer(folder: Path, described: Mapping[str, Any], *, verify: bool = True) -> Any:
    """A BERT tokenizer from vocab.txt, the same as an app builds.

    Args:
        folder: of the exported file.
        described: the member `tokenizer` of its model.json, as `description` returned it.
        verify: whether the vocabulary must have the sha256 that model.json states.

    Raises:
        UserError: the vocabulary is missing, or another one.
    """
    from pipeline.files.tokenizer import lines_of, tokenizer_of

    vocabulary = folder / described["file"]
    if not vocabulary.is_file():
        raise UserError(f"no {vocabulary}: the vocabulary belongs beside the exported file")
    try:
        # Read once: what was compared is what is used, whatever happens to the file.
        data = plain_file.read_bytes(vocabulary)
        if verify and hashlib.sha256(data).hexdigest() != described["sha256"]:
            raise UserError(
                f"{vocabulary} is not the vocabulary that model.json names: {sealed.AGAIN}, or "
                "pass --no-verify if you changed it on purpose"
            )
        lines = lines_of(data)
    except OSError as error:
        raise UserError(f"cannot read {vocabulary}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{vocabulary} is not UTF-8 text (byte {error.start}): {sealed.AGAIN}"
        ) from error
    _check_lines(vocabulary, lines, described)
    return tokenizer_of(vocabulary, described, lines)


def _check_lines(vocabulary: Path, lines: list[str], described: Mapping[str, Any]) -> None:
    """Refuses a vocabulary that does not have the pieces that model.json counts and names."""
    if len(lines) != described["size"] or len(set(lines)) < len(lines):
        raise UserError(
            f"{vocabulary} has {len(set(lines))} pieces, model.json says {described['size']}: "
            f"{sealed.AGAIN}"
        )
    named = [(entry["piece"], entry["id"]) for entry in described["special"].values()]
    named += [(entry["content"], entry["id"]) for entry in described["added"]]
    for piece, place in named:
        if lines[place] != piece.replace("\n", "\\n"):
            raise UserError(
                f"{vocabulary} has {lines[place][:40]!r} in the place {place}, model.json says "
                f"{piece[:40]!r}: {sealed.AGAIN}"
            )
