# SPDX-License-Identifier: Apache-2.0
"""Opens a file in a process of its own first, where nothing states its checksum.

LiteRT and ExecuTorch trust the bytes of a file: a damaged one may end the process that opens it.

    python -m converters.runtimes.trial FILE
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from converters import ConversionError, one_line, terminal
from converters.start import module_command

SUFFIXES: Final = (".tflite", ".pte")  # of files that a runtime may die of
LONGEST_SECONDS: Final = 300.0
_TOKENS: Final = 8


def attempt(path: Path, timeout: float = LONGEST_SECONDS) -> None:
    """Open a file and run it once, in a process of its own; other formats are passed over.

    Args:
        path: of the file.
        timeout: seconds after which the process is ended.

    Raises:
        ConversionError: the process died, took too long, or refused the file.
    """
    if path.suffix not in SUFFIXES or not path.is_file():
        return
    command = [*module_command("converters.runtimes.trial"), str(path.absolute())]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise ConversionError(
            f"{path} did not run within {timeout:.0f} s: it is damaged; export it again"
        ) from error
    if done.returncode < 0:
        raise ConversionError(
            f"{path} crashes its runtime ({_name(-done.returncode)}): it is damaged; export it "
            "again"
        )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        reason = one_line(said[-1].removeprefix("error: ")) if said else "no reason given"
        raise ConversionError(reason if str(path.absolute()) in reason else f"{path}: {reason}")


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@terminal.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Open the file and run a few tokens; return 0, or 2 where the runtime refuses it."""
    from converters.runtimes.open import open_predictor

    (path,) = sys.argv[1:] if arguments is None else arguments
    model = open_predictor(path)
    ids = np.zeros((1, max(1, min(_TOKENS, model.max_length))), np.int32)
    model.run(ids, np.ones_like(ids), np.zeros_like(ids))
    return 0


if __name__ == "__main__":
    sys.exit(main())
