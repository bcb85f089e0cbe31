# SPDX-License-Identifier: Apache-2.0
"""Finds and fills the marks of the pages: comments around measured figures, which readers do not see.

A mark surrounds a block (a table or the output of a command), or one figure in a sentence or a cell:

    <!-- figures: NAME -->
    (lines)
    <!-- /figures -->
    It took <!--f NAME-->13.5<!--/f--> minutes.

NAME is a name in `catalog.BLOCKS` or `catalog.FIGURES`, or the name of a fact.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from results import catalog

BLOCK = re.compile(
    r"^<!-- figures: ([\w-]+) -->\n(.*?)^<!-- /figures -->$", re.DOTALL | re.MULTILINE
)
FIGURE = re.compile(r"<!--f ([\w-]+)-->(.*?)<!--/f-->", re.DOTALL)
ANY_MARK = re.compile(r"<!--\s*(?:/?figures\b.*?|/?f\b.*?)-->")

# The forms of measured figures: a number with a unit of measurement, a score, a factor.
NUMBER = r"(?<![\w.,-])\d[\d,]*(?:\.\d+)?(?:e-?\d+)?"
MEASURED = re.compile(
    rf"{NUMBER}\s?(?:ms|s|MB|GB|KB|kB|MiB|GiB|%|\u00d7|x|times|percent|(?:milli)?seconds?|minutes?|hours?|"
    r"points?|EM|F1|of \d+)(?!\w)"
    rf"|\b(?:F1|EM|error|accuracy)(?: of| is)? {NUMBER}"
)
CELL = re.compile(rf"\|\s*{NUMBER}(?:\s\w+)?\s*(?=\|)")
HIDDEN = re.compile(r"^```.*?^```$|`[^`\n]+`|\]\([^)\n]*\)", re.DOTALL | re.MULTILINE)


def filled(text: str, results: Mapping[str, Any]) -> str:
    """A page with the figures of `results` between all its marks.

    Raises:
        ValueError: a mark is unknown, not closed or inside another, or the mark of a figure begins
            a line.
    """
    plain = FIGURE.sub("", BLOCK.sub("", text))
    if stray := ANY_MARK.search(plain):
        raise ValueError(f"{stray[0]} is not closed, or closes nothing")
    if first := re.search(r"^<!--f .*", text, re.MULTILINE):
        raise ValueError(
            f"{first[0]} begins a line, which is no Markdown then: put a word before it"
        )
    text = BLOCK.sub(
        lambda m: f"<!-- figures: {m[1]} -->\n{catalog.block(m[1], results)}<!-- /figures -->", text
    )
    return FIGURE.sub(lambda m: f"<!--f {m[1]}-->{catalog.figure(m[1], results)}<!--/f-->", text)


def names(text: str) -> list[str]:
    """The names of the marks of a page."""
    return [match[1] for pattern in (BLOCK, FIGURE) for match in pattern.finditer(text)]


def unmarked(text: str) -> Iterator[str]:
    """Text that looks like a measured figure outside of marks, code and addresses, with its line."""
    text = FIGURE.sub("", HIDDEN.sub("", BLOCK.sub("", text)))
    for pattern in (MEASURED, CELL):
        for found in pattern.finditer(text):
            line = text[text.rfind("\n", 0, found.start()) + 1 :].partition("\n")[0]
            yield f"{found[0].strip('| ')} in: {line.strip()}"
