# SPDX-License-Identifier: Apache-2.0
"""Markdown that shows what it is given, whatever that holds (CommonMark and GitHub's tables)."""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Iterable, Sequence

from benchmarks.page.layout import Table
from converters import terminal

# Escaped wherever it stands; underscores within a word mean nothing and need no backslash.
SPECIAL = re.compile(r"[\\`*\[\]|~#$]|(?<![^\W_])_|_(?![^\W_])")


class Markdown(str):
    """Text that is Markdown already."""

    __slots__ = ()


def escape(value: object) -> Markdown:
    """A value on one line that Markdown shows as it is; `Markdown` itself is left alone.

    Not at the start of a line: there `-`, `+` and `1.` begin lists.
    """
    if isinstance(value, Markdown):
        return value
    marked = SPECIAL.sub(r"\\\g<0>", html.escape(terminal.shown(str(value)), quote=False))
    return Markdown(" ".join(marked.split()))


def table(shown: Table) -> Markdown:
    """A table, cells escaped; the word "None." in place of one without rows."""
    if not shown.rows:
        return Markdown("None.")
    numbers = [column.kind == "number" for column in shown.columns]
    return grid([column.name for column in shown.columns], shown.rows, numbers)


def grid(
    header: Sequence[object], rows: Sequence[Sequence[object]], numbers: Sequence[bool] = ()
) -> Markdown:
    """A table of a header and rows, cells escaped.

    Args:
        header: a name for each column.
        rows: as many cells each.
        numbers: for each column whether it is aligned right; none is if they are not given.
    """
    marks = [Markdown("---:" if number else "---") for number in numbers or [False] * len(header)]
    lines = ([escape(cell) for cell in line] for line in (header, marks, *rows))
    return Markdown("\n".join(f"| {' | '.join(line)} |" for line in lines))


def shell(word: str) -> Markdown:
    """One word of a shell's command line, for an indented block: nothing in it can end that."""
    return indented(shlex.quote(word))


def literal(text: str) -> Markdown:
    """A Python string, on one line and in ASCII, so that it cannot end a fenced block."""
    return Markdown(ascii(text))


def literals(texts: Iterable[str]) -> Markdown:
    """A Python list of strings, on one line and in ASCII."""
    return Markdown(ascii(list(texts)))


def indented(text: str) -> Markdown:
    """Text within an indented block: its line breaks, of any kind, do not end the block."""
    return Markdown("\n    ".join(text.splitlines()))
