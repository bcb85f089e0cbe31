# SPDX-License-Identifier: Apache-2.0
"""Compares an exported file, and what lies beside it, with what model.json states.

Runtimes do not notice a changed weight, and some changed files crash them: a file is compared
before a runtime opens it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from converters import ConversionError, one_line, sealed
from converters.runtimes import remembered

DESCRIPTION = "model.json"
GOLDEN = "golden.json"

# A document without any of these was written by another tool.
_OURS = ("schema_version", "made_by", sealed.KEY)

# Files up to this size are read in seconds.
_LARGE_BYTES = 2**30

# The last schema without a digest.
_UNSEALED = 2


sha256 = remembered.read  # where nothing may be remembered, as of what a build just wrote


def digest(path: Path) -> str:
    """What model.json states as the sha256 of an exported file.

    Of a Core ML package, a folder, that is its seal, which covers every byte and is checked here.

    Raises:
        ConversionError: the file cannot be read, or the package is damaged.
    """
    if path.is_dir():
        from converters.coreml import package as coreml_package

        return coreml_package.metadata(path)[coreml_package.SEAL_KEY]
    try:
        if path.exists() and not path.is_file():
            raise ConversionError(f"{path} is a pipe or a device: name a file")
        return remembered.sha256(path)
    except OSError as error:
        raise ConversionError(f"cannot read {path}: {error.strerror}; check the path") from error


def verify(path: Path, *, listed: bool = False) -> bool:
    """Refuse a file whose content is not what the model.json beside it states.

    model.json and golden.json must have the digests that they carry, and the vocabulary the one
    that model.json states. A file under a name that model.json does not list is found by its
    content. Without a model.json of this project beside the file there is nothing to compare with.

    Args:
        path: an exported file or package, which exists.
        listed: refuse a file that model.json does not list as well.

    Returns:
        Whether the file was compared with something.

    Raises:
        ConversionError: the content is another one, or cannot be read.
    """
    description = path.parent / DESCRIPTION
    if not description.is_file():
        return False
    document = sealed.parse(description)
    if not isinstance(document, dict) or not any(key in document for key in _OURS):
        return False
    if sealed.KEY in document or document.get("schema_version") != _UNSEALED:
        sealed.check(description, document)
        _check_golden(path.parent / GOLDEN)
    _check_vocabulary(path.parent, document)
    stated = _stated(document)
    _check_size(path, document)
    found = digest(path)
    if path.name in stated and found != stated[path.name]:
        others = sorted(name for name, each in stated.items() if each == found)
        what = f"holds what belongs into {others[0]}" if others else "is damaged or was changed"
        raise ConversionError(
            f"{path} {what}: its sha256 is {found[:12]}..., and {DESCRIPTION} beside it states "
            f"{stated[path.name][:12]}...; {sealed.AGAIN}, or pass --no-verify if you changed it "
            "on purpose"
        )
    if found in stated.values():
        return True
    if listed:
        raise ConversionError(
            f"{description} does not list {path.name}, but {one_line(', '.join(stated))}: put the "
            "model.json that was exported with the file beside it"
        )
    return False


def verify_all(paths: Iterable[Path], *, skip: bool = False) -> list[Path]:
    """Verify files that a command is about to open.

    Args:
        paths: exported files; Hugging Face folders, of which nothing states a checksum, are passed
            over.
        skip: compare nothing, as `--no-verify` says.

    Returns:
        The files that were compared with nothing, which a runtime may die of; see `note`.

    Raises:
        ConversionError: see `verify`.
    """
    files = [path for path in paths if not (path / "config.json").is_file()]
    return [path for path in files if skip or (path.exists() and not verify(path))]


@contextlib.contextmanager
def unchanged(paths: Iterable[Path]) -> Iterator[None]:
    """Refuses files and packages that are replaced or written to while the body uses them.

    A checksum is of what was read, and whoever opens a path later may find something else there.

    Raises:
        ConversionError: one of them is no longer what it was at the beginning.
    """
    before = {path: _marks(path) for path in paths}
    yield
    for path, marks in before.items():
        if _marks(path) != marks:
            raise ConversionError(
                f"{path} was replaced or changed while it was in use: wait until nothing writes "
                "to its folder, and run the command again"
            )


def _marks(path: Path) -> list[list[int]]:
    """The state of a file, or of all in a folder; nothing where there is none."""
    try:
        every = [path, *sorted(path.rglob("*"))] if path.is_dir() else [path]
        return [remembered.state(each.stat()) for each in every]
    except OSError:
        return []


def note(unchecked: Sequence[Path]) -> None:
    """Print which files were compared with nothing, if there are any."""
    if unchecked:
        names = one_line(", ".join(path.name for path in unchecked))
        print(f"note: not compared with a checksum in {DESCRIPTION}: {names}", file=sys.stderr)


def _check_golden(path: Path) -> None:
    """Golden cases may be left out, as where an app has no room for them."""
    if path.is_file():
        sealed.check(path, sealed.parse(path))


def _check_vocabulary(folder: Path, document: dict[str, Any]) -> None:
    described = document.get("tokenizer")
    described = described if isinstance(described, dict) else {}
    name, stated = described.get("file"), described.get("sha256")
    if not isinstance(name, str) or not isinstance(stated, str) or not sealed.is_plain(name):
        return  # the reader of the whole document says what is wrong with it
    path = folder / name
    if path.is_file() and sha256(path) != stated:
        raise ConversionError(
            f"{path} is not the vocabulary that {DESCRIPTION} names: {sealed.AGAIN}"
        )


def _check_size(path: Path, document: dict[str, Any]) -> None:
    """Refuses a large file that cannot be the stated one before all of it is read.

    A file of holes takes no disk, and hours to read.
    """
    try:
        entries = document["files"].values()
        sizes = {entry["bytes"] for entry in entries if entry["path"] == path.name}
        found = path.stat().st_size if path.is_file() else 0
    except (KeyError, TypeError, AttributeError, OSError):
        return
    if sizes and found > _LARGE_BYTES and found not in sizes:
        raise ConversionError(
            f"{path} is damaged or was changed: it has {found:,} bytes, and {DESCRIPTION} beside "
            f"it states {one_line(next(iter(sizes)), 20)}; {sealed.AGAIN}"
        )


def _stated(document: dict[str, Any]) -> dict[str, str]:
    """File name -> sha256, as a model.json states them; empty where it states none."""
    try:
        entries = document["files"].values()
        return {str(entry["path"]): str(entry["sha256"]) for entry in entries}
    except (KeyError, TypeError, AttributeError):
        return {}
