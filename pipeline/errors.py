# SPDX-License-Identifier: Apache-2.0
"""The two ways a build ends early, and the exit code of each."""

from __future__ import annotations

from typing import ClassVar

from converters import ExpectedError


class UserError(ExpectedError):
    """A mistake the user can mend: one line that says what came, what is allowed, what to do."""


class GateFailure(ExpectedError):  # noqa: N818 - a verdict on the model, no error of the program
    """An exported file does not give the student's answers."""

    exit_code: ClassVar[int] = 1
    label: ClassVar[str] = "gate failed"
