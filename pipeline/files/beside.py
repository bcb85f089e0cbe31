# SPDX-License-Identifier: Apache-2.0
"""Reads what lies beside an exported file: `model.json` and the vocabulary that it names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import UserError


def description(path: Path) -> dict[str, Any]:
    """The content of a model.json.

    Raises:
        UserError: it is missing or damaged, or of another schema.
    """
    from pipeline.files.export import MODEL_SCHEMA

    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        version = document["schema_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"no readable {path}: it belongs beside the exported file") from error
    if version != MODEL_SCHEMA:
        raise UserError(
            f"{path} has schema {version}, this version reads {MODEL_SCHEMA}: build the file again"
        )
    return dict(document)


def tokenizer(folder: Path, described: Mapping[str, Any]) -> Any:
    """A BERT tokenizer from vocab.txt, the same as an app builds.

    Args:
        folder: of the exported file.
        described: the member `tokenizer` of its model.json.

    Raises:
        UserError: the vocabulary is missing, or another one.
        KeyError: the description lacks a member.
    """
    from converters.runtimes.checksums import sha256
    from pipeline.files.tokenizer import tokenizer_of

    vocabulary = folder / str(described["file"])
    if not vocabulary.is_file():
        raise UserError(f"no {vocabulary}: the vocabulary belongs beside the exported file")
    if sha256(vocabulary) != described["sha256"]:
        raise UserError(
            f"{vocabulary} is not the vocabulary that model.json names: build the file again"
        )
    return tokenizer_of(vocabulary, described)
