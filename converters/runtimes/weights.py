# SPDX-License-Identifier: Apache-2.0
"""The weights stored in an exported file, whichever its format."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from converters import ConversionError, sealed


class Stored(NamedTuple):
    """A constant: its name in the file, its shape, and the bytes that it takes there."""

    name: str
    shape: tuple[int, ...]
    bytes: int


def stored(path: Path) -> list[Stored] | None:
    """Every constant stored in a .tflite or .onnx file, once; None for other formats.

    Raises:
        ConversionError: missing or damaged.
    """
    if path.suffix == ".tflite":
        from converters.tflite import file as tflite_file

        by_buffer = {weight.buffer: weight for weight in tflite_file.describe(path).weights}
        return [Stored(each.name, each.shape, each.bytes) for each in by_buffer.values()]
    if path.suffix == ".onnx":
        from converters.onnx import file as onnx_file

        every = onnx_file.describe(path).weights
        return [Stored(each.name, each.shape, each.bytes) for each in every if each.inside]
    return None


def vocabulary_size(path: Path) -> int | None:
    """How many word pieces a file or a Hugging Face folder knows; None if it does not tell."""
    if (path / "config.json").is_file():
        try:
            return int(sealed.read_json(path / "config.json")["vocab_size"])
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ConversionError(f"{path / 'config.json'} names no vocab_size") from error
    tables = (one for one in stored(path) or () if "word_embeddings" in one.name)
    return next((one.shape[0] for one in tables if len(one.shape) == 2), None)
