# SPDX-License-Identifier: Apache-2.0
"""Writes docs/report.md from the types that reports and benchmarks are validated against.

python docs/make_schema.py
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from docstring_parser import DocstringStyle, parse

PAGE = Path(__file__).resolve().parent / "report.md"
sys.path.insert(0, str(PAGE.parent.parent))

from benchmarks.measure.schema import Benchmark  # noqa: E402 - found through the line above
from benchmarks.measure.typed import Within, called  # noqa: E402
from pipeline.report.schema import Report  # noqa: E402

TOP = """\
# The JSON of reports and benchmarks

<!-- written by docs/make_schema.py from the types in benchmarks/measure/schema.py and pipeline/report/schema.py -->

A build writes `report.json`, with `report.md` and `report.html` beside it. `python -m benchmarks.run` and
`python -m benchmarks.android` write `benchmark.json`, with `benchmark.html` beside it. The pages are made again by

```
python -m pipeline.report.render report.json
python -m benchmarks.page benchmark.json
```

Both documents are checked before they are written and when they are read; an error names the place, what it holds and
what is allowed. Every key is there and no other: null is what was not measured. Numbers are finite; counts, bytes, times
and ratios are not negative. What is the same in both is told once, below.
"""

DOCUMENTS = (("report.json", Report), ("benchmark.json", Benchmark))
PLAIN = {str: "string", int: "integer", float: "number", bool: "true or false", Any: "any JSON"}


def page() -> str:
    """The whole page."""
    reached = [list(dict.fromkeys(types_in(root))) for _, root in DOCUMENTS]
    shared = [kind for kind in reached[0] if kind in reached[1]]
    lines = [TOP]
    headings = _headings([kind for kinds in reached for kind in kinds])
    for (name, _), kinds in zip(DOCUMENTS, reached, strict=True):
        lines += [f"## {name}", ""]
        for kind in kinds:
            if kind not in shared:
                lines += _described(kind, headings)
    lines += ["## In both", ""]
    for kind in shared:
        lines += _described(kind, headings)
    return "\n".join(lines).rstrip() + "\n"


def types_in(kind: Any) -> Iterator[Any]:
    """A type and every TypedDict below it, in the order of their fields."""
    parts = _parts(kind)
    if is_typeddict(kind):
        yield kind
        parts = tuple(get_type_hints(kind, include_extras=True).values())
    for part in parts:
        yield from types_in(part)


def _headings(kinds: list[Any]) -> dict[Any, str]:
    """What each type is called; two of one name by their documents."""
    names = [kind.__name__ for kind in dict.fromkeys(kinds)]
    documents = {root.__module__: name for name, root in DOCUMENTS}
    return {
        kind: kind.__name__
        if names.count(kind.__name__) == 1
        else f"{kind.__name__} in {documents[kind.__module__].removesuffix('.json')}"
        for kind in kinds
    }


def _described(kind: Any, headings: dict[Any, str]) -> list[str]:
    """A type's heading, what it is, and a table of its keys.

    Raises:
        ValueError: its docstring tells of other keys than it has, or in another order.
    """
    told = parse(kind.__doc__ or "", style=DocstringStyle.GOOGLE)
    meanings = {one.arg_name: " ".join((one.description or "").split()) for one in told.params}
    hints = get_type_hints(kind, include_extras=True)
    if list(meanings) != list(hints):
        raise ValueError(f"{kind.__name__} has {', '.join(hints)}; told are {', '.join(meanings)}")
    lines = [f"### {headings[kind]}", "", told.short_description or "", ""]
    lines += ["| key | type | unit | meaning |", "|---|---|---|---|"]
    for key, hint in hints.items():
        meaning = meanings[key].replace("|", "\\|")
        lines.append(f"| `{key}` | {shown(hint, headings)} | {unit(hint)} | {meaning} |")
    return [*lines, ""]


def shown(kind: Any, headings: dict[Any, str]) -> str:
    """A type in words, with links to those that have a table."""
    origin, arguments = get_origin(kind), get_args(kind)
    if is_typeddict(kind):
        anchor = headings[kind].lower().replace(" ", "-")
        return f"[{headings[kind]}](#{anchor})"
    if origin in (Union, UnionType):
        return " or ".join(shown(part, headings) for part in arguments)
    if origin is Annotated:
        limits = arguments[1]
        if not isinstance(limits, Within):
            return shown(limits, headings)
        bounds = f" from {limits.low:g} to {limits.high:g}" if limits.high < 1e9 else ""
        return shown(arguments[0], headings) + bounds
    if origin is list:
        return f"list of {shown(arguments[0], headings)}"
    if origin is dict:
        return f"object, {shown(arguments[0], headings)} to {shown(arguments[1], headings)}"
    if origin is Literal:
        return f"`{called(kind)}`"
    return "null" if kind is type(None) else PLAIN[kind]


def unit(kind: Any) -> str:
    """The unit of a type or of its parts."""
    if get_origin(kind) is Annotated:
        limits = get_args(kind)[1]
        return limits.unit if isinstance(limits, Within) else ""
    return next(filter(None, map(unit, _parts(kind))), "")


def _parts(kind: Any) -> tuple[Any, ...]:
    return () if get_origin(kind) is Literal else get_args(kind)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.name}")
