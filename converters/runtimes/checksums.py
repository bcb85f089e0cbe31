# SPDX-License-Identifier: Apache-2.0
"""Compares an exported file with the checksum in the model.json beside it.

Runtimes do not notice a changed weight, and some changed files crash them: a file is compared
before a runtime opens it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from converters import ConversionError

DESCRIPTION = "model.json"


def sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
        return sha256(path)
    except OSError as error:
        raise ConversionError(f"cannot read {path}: {error.strerror}; check the path") from error


def verify(path: Path, *, listed: bool = False) -> None:
    """Refuse a file whose content is not what the model.json beside it states.

    A file under another name is found by its content. Without a model.json of this project beside
    the file there is nothing to compare with.

    Args:
        path: an exported file or package, which exists.
        listed: refuse a file that model.json does not list as well.

    Raises:
        ConversionError: the content is another one, or cannot be read; model.json is no JSON.
    """
    description = path.parent / DESCRIPTION
    stated = _stated(description)
    if not stated:
        return
    found = digest(path)
    if found in stated.values():
        return
    if path.name in stated:
        raise ConversionError(
            f"{path} is damaged or was changed: its sha256 is {found[:12]}..., and {DESCRIPTION} "
            f"beside it states {stated[path.name][:12]}...; copy the whole folder again, or build "
            "it again"
        )
    if listed:
        raise ConversionError(
            f"{description} does not list {path.name}, but {', '.join(stated)}: put the model.json "
            "that was exported with the file beside it"
        )


def _stated(description: Path) -> dict[str, str]:
    """File name -> sha256, as a model.json states them; empty where none of ours is there."""
    if not description.is_file():
        return {}
    try:
        document = json.loads(description.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConversionError(
            f"no readable {description}, which states the checksums of the files beside it: copy "
            "the whole folder again"
        ) from error
    try:
        entries = document["files"].values()
        return {str(entry["path"]): str(entry["sha256"]) for entry in entries}
    except (KeyError, TypeError, AttributeError):
        return {}
