# SPDX-License-Identifier: Apache-2.0
"""A trained student (or its teacher) to files that phones run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Concatenate, ParamSpec, TypeVar, cast

Rest = ParamSpec("Rest")
Result = TypeVar("Result")


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


def is_text(value: str) -> bool:
    """Whether a text can be encoded: it has no half of a surrogate pair, which is no character.

    JSON can spell such halves, and Python takes them for bytes that the locale could not decode.
    """
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def reader(
    read: Callable[Concatenate[str | Path, Rest], Result],
) -> Callable[Concatenate[str | Path, Rest], Result]:
    """Decorates a function that reads a file: damage of any kind becomes a `ConversionError`.

    The libraries that parse a format trust its bytes, and so does code that looks a thing up by a
    number in the file: what a damaged one raises is whatever error it happens to hit.
    """

    @functools.wraps(read)
    def guarded(path: str | Path, *args: Rest.args, **kwargs: Rest.kwargs) -> Result:
        try:
            return read(path, *args, **kwargs)
        except (ExpectedError, ImportError):  # a package that is missing has words of its own
            raise
        except Exception as error:
            raise ConversionError(
                f"{path} is damaged or no file of this project ({type(error).__name__}: "
                f"{one_line(error, 100)}); export it again"
            ) from error

    return cast("Callable[Concatenate[str | Path, Rest], Result]", guarded)
