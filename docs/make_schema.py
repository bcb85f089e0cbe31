# SPDX-License-Identifier: Apache-2.0
"""Writes docs/report.md and docs/schema/*.json from the types that documents are checked against.

The page describes reports and benchmarks; of what lies beside exported files there are schemas only.

python docs/make_schema.py
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin

from docstring_parser import DocstringStyle, parse
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from typing_extensions import get_type_hints, is_typeddict

PAGE = Path(__file__).resolve().parent / "report.md"
SCHEMAS = PAGE.parent / "schema"
sys.path.insert(0, str(PAGE.parent.parent))

from benchmarks.measure.schema import Benchmark  # noqa: E402 - found through the line above
from benchmarks.measure.stream_schema import Streaming  # noqa: E402
from benchmarks.measure.training_schema import Training  # noqa: E402
from pipeline.documents.schema import (  # noqa: E402
    GoldenQuestions,
    GoldenTexts,
    ModelDescription,
)
from pipeline.report.schema import Report  # noqa: E402
from pipeline.tasks.question_answering.described import SpanPart  # noqa: E402
from pipeline.tasks.text_classification.described import ClassPart  # noqa: E402

TOP = """\
# The JSON of reports and benchmarks

<!-- written by docs/make_schema.py from the types in benchmarks/measure/schema.py and pipeline/report/schema.py -->

A build writes `report.json`, with `report.md` and `report.html` beside it. `python -m benchmarks.run` writes
`benchmark.json`, and `python -m benchmarks.android` writes `benchmark-android.json` with the same keys, each with a page
beside it. These commands write the pages again:

```
python -m pipeline.report.render report.json
python -m benchmarks.page benchmark.json
```

Every document is checked before it is written and when it is read. An error names each wrong field, what it holds and
what is allowed. Every key is required and no other key is allowed; null stands for what was not measured. Numbers are
finite; counts, sizes, times and ratios are not negative. Documents of older schemas can still be read: they are brought
to the current version first.

For other programs, [schema/report.json](schema/report.json) and [schema/benchmark.json](schema/benchmark.json) describe
the same as JSON Schema (draft 2020-12; `unit` is an annotation of ours), and
[schema/training.json](schema/training.json) and [schema/stream.json](schema/stream.json) the documents of
`python -m benchmarks.training` and `python -m benchmarks.stream`. The types that reports and benchmarks share come last
on this page.
"""

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DOCUMENTS = (("report.json", Report), ("benchmark.json", Benchmark))
SCHEMA_ALONE = (("training.json", Training), ("stream.json", Streaming))
# What an app reads beside an exported file.
BESIDE = (
    ("model.json", ModelDescription, (SpanPart, ClassPart)),
    ("golden.json", GoldenQuestions | GoldenTexts, ()),
)
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


def json_schema(root: Any) -> str:
    """The JSON Schema of a document, with the descriptions of its types and keys."""
    schema = TypeAdapter(root).json_schema()
    definitions = schema.get("$defs", {})
    for kind in dict.fromkeys(types_in(root)):
        summary, meanings = descriptions(kind)
        mine = schema if kind is root else definitions[kind.__name__]
        # pydantic passes the refusal of other keys on to the types inside, and does not write it.
        mine |= {"description": summary, "additionalProperties": False}
        for key, meaning in meanings.items():
            mine["properties"][key]["description"] = meaning
            mine["properties"][key].pop("title", None)  # the key again, in capitals
    return json.dumps({"$schema": DIALECT, **schema}, indent=2, ensure_ascii=False) + "\n"


def beside_schema(root: Any, parts: Sequence[Any]) -> str:
    """The JSON Schema of a document to which each task adds keys of its own.

    Args:
        root: the type of the keys that every task has, or of the whole document.
        parts: the types of the keys that each task adds; none if there are no such keys.
    """
    schema = json.loads(json_schema(root))
    if parts:
        for part in parts:
            own = json.loads(json_schema(part))
            schema["$defs"] |= own.pop("$defs", {})
            del own["$schema"], own["additionalProperties"]
            schema["$defs"][part.__name__] = own
        # Neither half may refuse the keys of the other; what is in no half is refused here.
        del schema["additionalProperties"]
        schema["anyOf"] = [{"$ref": f"#/$defs/{part.__name__}"} for part in parts]
        schema["unevaluatedProperties"] = False
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def types_in(kind: Any) -> Iterator[Any]:
    """A type and every TypedDict below it, in the order of their fields."""
    parts = _parts(kind)
    if is_typeddict(kind):
        yield kind
        parts = tuple(get_type_hints(kind, include_extras=True).values())
    for part in parts:
        yield from types_in(part)


def descriptions(kind: Any) -> tuple[str, dict[str, str]]:
    """What a type is, and what each of its keys means, from its docstring.

    Raises:
        ValueError: the docstring describes other keys than the type has, or in another order.
    """
    docstring = parse(kind.__doc__ or "", style=DocstringStyle.GOOGLE)
    meanings = {one.arg_name: " ".join((one.description or "").split()) for one in docstring.params}
    keys = list(get_type_hints(kind))
    if list(meanings) != keys:
        raise ValueError(
            f"{kind.__name__} has the keys {', '.join(keys)}; its docstring describes "
            f"{', '.join(meanings) or 'none'}"
        )
    whole = (docstring.short_description, docstring.long_description)
    return " ".join(" ".join(part.split()) for part in whole if part), meanings


def _headings(kinds: list[Any]) -> dict[Any, str]:
    """The heading of each type; two of one name are distinguished by their documents."""
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
        ValueError: see `descriptions`.
    """
    summary, meanings = descriptions(kind)
    lines = [f"### {headings[kind]}", "", summary, ""]
    lines += ["| key | type | unit | meaning |", "|---|---|---|---|"]
    for key, hint in get_type_hints(kind, include_extras=True).items():
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
        return shown(arguments[0], headings) + _bounds(arguments[1])
    if origin is NotRequired:
        return f"{shown(arguments[0], headings)}, or absent"
    if origin is list:
        return f"list of {shown(arguments[0], headings)}"
    if origin is dict:
        return f"object, {shown(arguments[0], headings)} to {shown(arguments[1], headings)}"
    if origin is Literal:
        return f"`{' or '.join(json.dumps(choice) for choice in arguments)}`"
    return "null" if kind is type(None) else PLAIN[kind]


def _bounds(limits: Any) -> str:
    """Both ends of a number in words; that a number is not negative is said at the top."""
    if not isinstance(limits, FieldInfo):
        return ""
    low = next((one.ge for one in limits.metadata if hasattr(one, "ge")), None)
    high = next((one.le for one in limits.metadata if hasattr(one, "le")), None)
    return "" if low is None or high is None or high >= 1e9 else f" from {low:g} to {high:g}"


def unit(kind: Any) -> str:
    """The unit of a type or of its parts."""
    if get_origin(kind) is Annotated:
        limits = get_args(kind)[1]
        extra = limits.json_schema_extra if isinstance(limits, FieldInfo) else None
        return str(extra.get("unit", "")) if isinstance(extra, dict) else ""
    return next(filter(None, map(unit, _parts(kind))), "")


def _parts(kind: Any) -> tuple[Any, ...]:
    return () if get_origin(kind) is Literal else get_args(kind)


if __name__ == "__main__":
    SCHEMAS.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    for file, document in (*DOCUMENTS, *SCHEMA_ALONE):
        (SCHEMAS / file).write_text(json_schema(document), encoding="utf-8")
    for file, document, parts in BESIDE:
        (SCHEMAS / file).write_text(beside_schema(document, parts), encoding="utf-8")
    files = [file for file, *_ in (*DOCUMENTS, *SCHEMA_ALONE, *BESIDE)]
    print(f"wrote {PAGE.name} and {', '.join(f'schema/{file}' for file in files)}")
