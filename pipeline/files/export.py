# SPDX-License-Identifier: Apache-2.0
"""What an app needs beside the model: vocabulary, `model.json`, golden cases to test itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from converters import sealed
from converters.interface import INPUTS, Interface
from converters.runtimes.checksums import sha256
from pipeline import __version__
from pipeline.documents import model_schema
from pipeline.files.targets import format_of
from pipeline.files.tokenizer import describe_tokenizer, vocabulary_lines


def write_vocabulary(folder: Path, tokenizer: Any) -> Path:
    """Writes `vocab.txt`, a line for each id in the order of the ids, and returns its path.

    Raises:
        UserError: see `vocabulary_lines`.
    """
    vocab_file = folder / "vocab.txt"
    lines = "".join(f"{line}\n" for line in vocabulary_lines(tokenizer))
    vocab_file.write_text(lines, encoding="utf-8")
    return vocab_file


def write_model_json(
    vocabulary: Path,
    files: Mapping[str, Path],
    tokenizer: Any,
    interface: Interface,
    about: Mapping[str, Any],
    *,
    length: int,
    max_positions: int,
    classes: int = 0,
    static_lengths: Sequence[int] = (),
) -> None:
    """Writes `model.json` beside the exported files: all that an app has to know of them.

    It carries a digest of itself, see `converters.sealed`.

    Args:
        vocabulary: what `write_vocabulary` wrote.
        files: by precision; the first is the one an app should take.
        tokenizer: the student's.
        interface: what the files take and give.
        about: what the task says: its name, and how an app makes inputs and reads outputs.
        length: the longest input that an app makes, in word pieces.
        max_positions: the longest input that a file takes.
        classes: how many values an output with the axis "class" has.
        static_lengths: the only lengths that the files take; none for any length.
    """
    kind = format_of(next(iter(files.values())))
    rows = -1 if kind.takes_rows else 1
    note = "" if static_lengths else kind.lengths_note
    document = {
        "schema_version": model_schema(about),
        "made_by": f"pipeline {__version__}",
        "task": about["task"],
        "default": next(iter(files.values())).name,
        "files": {
            precision: {
                "path": path.name,
                **asdict(kind.describe(path)),
                "for": kind.precisions[precision],
            }
            for precision, path in files.items()
        },
        "signature": interface.signature,
        "inputs": [{"name": name, "dtype": "int32", "shape": [rows, -1]} for name in INPUTS],
        "outputs": [
            {
                "name": output.name,
                "dtype": "float32",
                "shape": [rows, -1 if output.axis == "token" else classes],
            }
            for output in interface.outputs
        ],
        "lengths": {
            "default": length,
            "min": 1,
            "max": max(static_lengths, default=max_positions),
            "static": sorted(set(static_lengths)),
            **({"note": note} if note else {}),
        },
        **{key: value for key, value in about.items() if key != "task"},
        "tokenizer": describe_tokenizer(tokenizer)
        | {"file": vocabulary.name, "sha256": sha256(vocabulary)},
        "golden": "golden.json",
    }
    sealed.write(vocabulary.with_name("model.json"), document)
