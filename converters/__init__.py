# SPDX-License-Identifier: Apache-2.0
"""A trained student (or its teacher) to files that phones run; what every such file has in common.

One graph, called by name: three int32 inputs of shape (1, S) and two float32 outputs of the same
shape. S may be any length up to the number of positions that the model was trained with; or, in a
file made for accelerators that want fixed shapes, one of a few lengths with a graph each. An .onnx
file also takes B rows at once, (B, S).
"""

from __future__ import annotations

from typing import ClassVar

SIGNATURE = "answer"
INPUTS = ("ids", "mask", "segment_ids")
OUTPUTS = ("start_logits", "end_logits")

# Added to attention scores and to output logits wherever the mask is 0. Large enough that exp()
# of it is 0 and that no padding is ever among the best, small enough for fp16 (largest 65,504);
# minus infinity would turn into NaN there.
MASK_BIAS = -1e4

# Metadata of an .onnx file that says the largest S; a .tflite file's position table says it.
MAX_LENGTH_KEY = "max_length"


def signature_of(length: int) -> str:
    """The name of the graph that takes exactly `length` tokens, where a file has several."""
    return f"length_{length}"


class ExpectedError(Exception):
    """An end of a command that it foresees: the base class of every error that is no fault of ours.

    The message is one line for the user. `converters.terminal.command` prints it after `label`,
    without a traceback, and ends the command with `exit_code`.
    """

    exit_code: ClassVar[int] = 2
    label: ClassVar[str] = "error"


class ConversionError(ExpectedError):
    """A model or a file cannot be converted, opened or used."""


def one_line(said: object, longest: int = 300) -> str:
    """A text, or what an error says or else its kind, on one line of at most `longest` characters.

    What is longer is cut, and ends in three dots more.
    """
    text = " ".join(str(said).split())
    if not text and isinstance(said, BaseException):
        return type(said).__name__
    return text if len(text) <= longest else f"{text[:longest]}..."
