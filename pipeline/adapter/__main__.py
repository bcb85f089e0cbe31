# SPDX-License-Identifier: Apache-2.0
"""Train the adapter that makes the embedded sentence encoder a teacher.

    python -m pipeline.adapter --data qamr-train.json --data-license "QAMR, MIT" --dev qamr-dev.json

The adapter is a LoRA with a head for answers and one for masked words. An interrupted training goes
on where it was. At every checkpoint F1 is measured and the adapter written, as it then is, to
OUT/adapter.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from converters import terminal
from pipeline.adapter import recipe

PROGRAM = "python -m pipeline.adapter"


@terminal.command(also={FloatingPointError: 1})
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns 0, 1 for a training that diverged, 2 for the user's mistake."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    settings = recipe.parse(arguments, PROGRAM, str(__doc__))
    from pipeline.adapter.train import train

    try:
        train(settings, shlex.join(["python", "-m", "pipeline.adapter", *map(_named, arguments)]))
    except KeyboardInterrupt as stop:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return terminal.stop_code(stop)
    return 0


def _named(argument: str) -> str:
    """An argument without the place of a file, which is nobody's business in a card."""
    flag, equals, value = argument.rpartition("=")
    place = Path(value)
    is_place = "/" in value and (place.is_absolute() or place.exists())
    return f"{flag}{equals}{place.name}" if is_place else argument


if __name__ == "__main__":
    sys.exit(main())
