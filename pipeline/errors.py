# SPDX-License-Identifier: Apache-2.0
"""The two ways a build ends early, and the exit code of each."""

from __future__ import annotations


class UserError(Exception):
    """A mistake the user can mend: one line that says what came, what is allowed, what to do.

    The command prints it without a traceback and exits with code 2.
    """


class GateFailure(Exception):  # noqa: N818 - a verdict on the model, no error of the program
    """An exported file does not give the student's answers; the command exits with code 1."""
