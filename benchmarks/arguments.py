# SPDX-License-Identifier: Apache-2.0
"""Types of arguments with bounds, and command lines without private values for reports."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.measure.session import short
from converters import terminal


def add_question_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that select questions and say how they are read and scored."""
    add = parser.add_argument
    add(
        "--questions",
        help="Run on examples of the files' task and score the predictions: `embedded`, a file (of "
        "questions as SQuAD has them, or of a classifier's texts with labels) or a Hub data set.",
    )
    add(
        "--empty-answers",
        choices=("error", "unanswerable", "drop"),
        help="Stop at a question whose answer is an empty text (error), take it as one that its "
        "passage does not answer (unanswerable), or leave it out (drop). Default: as in the build "
        "of --build, else error.",
    )
    add(
        "--language",
        metavar="CODE",
        help="Compare answers by the rules of this language, a code such as `de`, `fr` or `zh`; "
        "`auto` finds it in the passages. Default: as in the build of --build, else auto.",
    )


def add_verify_flag(parser: argparse.ArgumentParser) -> None:
    """Add `--no-verify`, which is `verify` in what is parsed."""
    parser.add_argument(
        "--no-verify",
        action="store_false",
        dest="verify",
        help="Do not compare the files with the checksums in the model.json beside them: for who "
        "changed one on purpose.",
    )


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


def add_counts(parser: argparse.ArgumentParser, numbers: Mapping[str, tuple[int, str]]) -> None:
    """Adds flags that take a whole number from 1 on.

    Args:
        parser: is given the flags.
        numbers: the default of each flag, and the beginning of its help.
    """
    for name, (default, meaning) in numbers.items():
        parser.add_argument(
            name,
            type=terminal.count,
            default=default,
            metavar="N",
            help=f"{meaning} (default: {default}).",
        )
