# SPDX-License-Identifier: Apache-2.0
"""The two ways a build ends early, and the exit code of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

from converters import ExpectedError, one_line
from converters.terminal import MOST_THREADS

MOST_AT_A_TIME: Final = MOST_THREADS  # of threads, or of models


class UserError(ExpectedError):
    """A mistake the user can mend: one line that says what came, what is allowed, what to do."""


class UnreachableError(UserError):
    """Something of the hub that is neither reachable nor in its cache."""


class UserErrors(UserError):  # noqa: N818 - several errors
    """Several mistakes that are reported together, a line each.

    Args:
        lines: at least one; each says what came, what is allowed and what to do.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = tuple(dict.fromkeys(lines))
        super().__init__("; ".join(self._lines))

    @property
    def lines(self) -> tuple[str, ...]:
        """The mistakes, in the order in which they were found, each once."""
        return self._lines


def at_least_one(flag: str, value: int, most: int | None = None) -> None:
    """Refuses a flag's value below 1, or above `most` if that is given, with a UserError."""
    if value < 1:
        raise UserError(f"{flag} {value}: at least 1")
    if most is not None and value > most:
        raise UserError(f"{flag} {one_line(value, 20)}: at most {most}")


class GateFailure(ExpectedError):  # noqa: N818 - a verdict on the model, no error of the program
    """An exported file does not give the student's answers."""

    exit_code: ClassVar[int] = 1
    label: ClassVar[str] = "gate failed"
