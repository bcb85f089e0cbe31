# SPDX-License-Identifier: Apache-2.0
"""A trained student (or its teacher) to files that phones run."""

from __future__ import annotations

from typing import ClassVar


class ExpectedError(Exception):
    """An end of a command that it foresees: the base class of every error that is no fault of ours.

    The message is one line for the user. `converters.terminal.command` prints it after `label`,
    without a traceback, and ends the command with `exit_code`.
    """

    exit_code: ClassVar[int] = 2
    label: ClassVar[str] = "error"

    @property
    def lines(self) -> tuple[str, ...]:
        """What is printed: a line for each thing that is wrong."""
        return (str(self),)


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
