# SPDX-License-Identifier: Apache-2.0
"""Runs the programs that make an APK, and says in one line what went wrong."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path


class ApkError(Exception):
    """An error whose one line says what is missing or wrong, and what to do."""


def run(command: Sequence[object], what: str, cwd: Path | None = None, shown: bool = False) -> str:
    """Runs a command and returns what it prints, or nothing if that is shown as it comes.

    Raises:
        ApkError: with the end of what it printed, where it fails.
    """
    words = [str(word) for word in command]
    output = None if shown else subprocess.PIPE
    done = subprocess.run(
        words, cwd=cwd, stdout=output, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        end = "" if shown else ":\n" + "\n".join(done.stdout.strip().splitlines()[-30:])
        raise ApkError(f"{what} failed ({words[0]}, exit code {done.returncode}){end}")
    return done.stdout or ""
