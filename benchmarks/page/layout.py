# SPDX-License-Identifier: Apache-2.0
"""What a page is made of: facts, tables and sections of finished strings; how figures are written.

Nothing here knows what was measured. `render` makes one self-contained HTML file of it; Markdown
and terminals get the same tables, so they cannot disagree.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jinja2
from markupsafe import Markup

DASH = "—"  # stands for every figure that a document does not hold
TIMES = "\u00d7"
TO = "\u2013"
PASSED, FAILED = "✓ passed", "✗ failed"


@dataclass(frozen=True)
class Fact:
    """One figure of the headline, and the sentence that says what it is worth."""

    figure: str
    label: str
    sentence: str
    verdict: bool | None = None


@dataclass(frozen=True)
class Plot:
    """A drawing, what it shows, and how it is read."""

    title: str
    caption: str
    svg: Markup


@dataclass(frozen=True)
class Column:
    """A table's column: numbers are aligned right, code is set in a fixed width."""

    name: str
    cells: Sequence[str]
    kind: Literal["text", "number", "code", "prose"] = "text"


@dataclass(frozen=True)
class Table:
    """Columns of equal length."""

    title: str
    columns: Sequence[Column]

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The cells, row by row."""
        return list(zip(*(column.cells for column in self.columns), strict=True))


@dataclass(frozen=True)
class Section:
    """A heading, then what there is of paragraphs, plots, tables and text set as code.

    HTML folds what few readers need.
    """

    anchor: str
    title: str
    paragraphs: Sequence[str] = ()
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
    code: str | None = None
    folded: bool = False


@dataclass(frozen=True)
class Page:
    """A whole page: `kind` says in its window's title what it is of."""

    kind: str
    title: str
    subtitle: str
    facts: Sequence[Fact]
    plots: Sequence[Plot]
    sections: Sequence[Section]


def render(page: Page, template: str = "page.html.j2", **more: Any) -> str:
    """One HTML file that asks for nothing outside itself; every text is escaped.

    Args:
        page: what to show.
        template: one of `benchmarks/page/templates`.
        more: what that takes besides.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(page=page, tone=_tone, **more)


def _tone(column: Column, cell: str) -> str:
    """The style class of a cell."""
    return {PASSED: "good", FAILED: "bad"}.get(cell, column.kind)


def number(name: str, values: Sequence[float | None], decimals: int | None = None) -> Column:
    """A column of numbers, all with the decimals that the smallest needs for three digits."""
    decimals = decimals_of(values) if decimals is None else decimals
    cells = [DASH if value is None else f"{value:,.{decimals}f}" for value in values]
    return Column(name, cells, "number")


def three_digits(value: float) -> str:
    """A number alone, with three significant digits where it has decimals at all."""
    return number("", [value]).cells[0]


def megabytes(size: float | None) -> float | None:
    """Bytes as MB, 10^6 bytes."""
    return None if size is None else size / 1e6


def duration(seconds: float) -> str:
    """Seconds as a person writes them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60) if seconds >= 3600 else int(seconds // 60)
    if seconds >= 3600:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {int(seconds % 60):02d} s"


def counted(count: int, noun: str) -> str:
    """A number of things."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def pairs(values: Mapping[str, Any], space: str = "_") -> Table:
    """A table of names and values; `space` stands for the underscores of names."""
    found = list(flat(values))
    names = [name.replace("_", space) for name, _ in found]
    return Table("", [Column("Name", names), Column("Value", [v for _, v in found], "prose")])


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as (dotted name, shown value)."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from flat(value, f"{name}.")
        elif key.endswith("_bytes") and type(value) is int:
            size = f"{value / 1e9:,.1f} GB" if value >= 1e9 else f"{three_digits(value / 1e6)} MB"
            yield name.removesuffix("_bytes"), size
        elif isinstance(value, (list, tuple)) and any(isinstance(item, dict) for item in value):
            yield from flat({str(index): item for index, item in enumerate(value)}, f"{name}.")
        elif isinstance(value, (list, tuple)):
            yield name, ", ".join(map(plain, value)) or DASH
        else:
            yield name, plain(value)


def plain(value: Any) -> str:
    """A value alone: numbers with four significant digits, whole ones whole."""
    if value is None or value == "":
        return DASH
    if isinstance(value, str):
        return value
    if type(value) is float:
        return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"
    return json.dumps(value)  # true rather than True; no separators: a seed is no quantity


def interval(low: float, high: float, decimals: int | None = None) -> str:
    """Both bounds of an interval."""
    return TO.join(number("", [low, high], decimals).cells)


def decimals_of(values: Sequence[float | None]) -> int:
    """Decimals that give the smallest of the values three digits; at most three decimals."""
    sizes = [abs(value) for value in values if value]
    return min(3, max(0, 2 - math.floor(math.log10(min(sizes))))) if sizes else 0
