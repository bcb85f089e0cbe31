# SPDX-License-Identifier: Apache-2.0
"""Types of arguments with bounds, and command lines without private values for reports."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure.session import short


def count(text: str) -> int:
    """Parse a whole number of at least 1; a `type` of argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"got {text}, at least 1 is needed")
    return value


def amount(text: str) -> float:
    """Parse a finite number of at least 0; a `type` of argparse."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"got {text}, 0 or more is needed")
    return value


def hidden(arguments: Sequence[str], private: Sequence[str] = ()) -> list[str]:
    """The arguments without the folders of this machine and the values of `private` options."""
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
