# SPDX-License-Identifier: Apache-2.0
"""What the commands here share: numbers with bounds, and a command line fit for a report."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure.session import short


def count(text: str) -> int:
    """A whole number from 1 on, as a `type` of argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"got {text}, at least 1 is needed")
    return value


def amount(text: str) -> float:
    """A finite number from 0 on, as a `type` of argparse."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"got {text}, 0 or more is needed")
    return value


def hidden(arguments: Sequence[str], private: Sequence[str] = ()) -> list[str]:
    """The arguments without this machine's folders, and without the values of `private` options."""
    found = []
    for before, text in zip(("", *arguments), arguments, strict=False):
        option, _, value = text.partition("=")
        if before in private:
            found.append("...")
        elif option in private and value:
            found.append(f"{option}=...")
        else:
            found.append(short(Path(text)) if "/" in text else text)
    return found
