# SPDX-License-Identifier: Apache-2.0
"""Checks JSON documents against TypedDicts with pydantic, and says in one line what does not fit.

The TypedDicts are the schema. Every key is required and no other key is allowed; a figure that was
not measured is null. Values are never converted: `"1"` is not a number, and `true` is not 1.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Iterator
from functools import cache
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError
from typing_extensions import get_type_hints, is_typeddict

Count = Annotated[int, Field(ge=0)]
Bytes = Annotated[int, Field(ge=0, json_schema_extra={"unit": "bytes"})]
Milliseconds = Annotated[float, Field(ge=0, json_schema_extra={"unit": "ms"})]
Seconds = Annotated[float, Field(ge=0, json_schema_extra={"unit": "s"})]
Amount = Annotated[float, Field(ge=0)]  # a ratio, or a mean of counts
Percent = Annotated[float, Field(ge=0, le=100, json_schema_extra={"unit": "%"})]  # 44.0, not 0.44
Scalar = str | int | float | bool | None

# The configuration of each document's outermost TypedDict; pydantic passes it on to those inside.
STRICT: Final = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

# How much of a wrong value a message shows, and how many wrong fields it names.
SHOWN_CHARACTERS = 60
SHOWN_LINES = 20
LONGEST_LINE = 600  # characters about one field: the keys of a document may be of any length

# pydantic speaks of Python's types; whoever reads a message looks at JSON.
JSON_WORDS: Final = {
    "a valid dictionary": "an object",
    "a valid list": "a list",
    "a valid string": "a string",
    "a valid integer": "an integer",
    "a valid number": "a number",
    "a valid boolean": "true or false",
}


def check(document: Any, kind: Any, contradictions: Callable[[Any], Iterator[str]]) -> None:
    """Check a document against its type, and then against itself.

    Args:
        document: what `json.load` or a measurement returns.
        kind: a TypedDict whose `__pydantic_config__` is `STRICT`; its name is in the message.
        contradictions: yields a line for each field that contradicts the fields beside it.

    Raises:
        ValueError: one line that names the wrong fields, what they hold and what is allowed.
    """
    wrong = mismatches(document, kind) or list(contradictions(document))
    if not wrong:
        return
    if len(wrong) > SHOWN_LINES:
        wrong[SHOWN_LINES:] = [f"and {len(wrong) - SHOWN_LINES} more"]
    wrong = [one if len(one) <= LONGEST_LINE else f"{one[:LONGEST_LINE]}..." for one in wrong]
    message = f"the {kind.__name__.lower()} cannot be used: {'; '.join(wrong)}"
    raise ValueError(" ".join(message.split()))  # keys and names may hold line breaks


def mismatches(document: Any, kind: Any) -> list[str]:
    """Return a line for each place whose value does not fit its type: got what, must be what.

    Args:
        document: what `json.load` or a measurement returns.
        kind: the document's TypedDict.
    """
    try:
        _adapter(kind).validate_python(document)
    except ValidationError as error:
        found: dict[str, tuple[ErrorDetails, list[str], Any]] = {}
        for one in error.errors(include_url=False):
            place, expected = _place(kind, one["loc"])
            place += str(one.get("ctx", {}).get("within", ""))
            # Each member of a union has an error of its own; together they say what is allowed.
            found.setdefault(place, (one, [], expected))[1].append(_allowed(one, expected))
        return [
            _line(place or kind.__name__.lower(), one, allowed, expected)
            for place, (one, allowed, expected) in found.items()
        ]
    return []


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """The validator of a type; to build it takes a while, and not every process needs one."""
    return TypeAdapter(kind)


def _place(kind: Any, location: tuple[int | str, ...]) -> tuple[str, Any]:
    """The place of an error as `files[0].bytes`, and the type that belongs there."""
    place = ""
    parts = list(location)
    while parts:
        members = _members(kind)
        if len(members) > 1:
            parts.pop(0)  # pydantic names the member of the union that it tried
            continue
        inner, part = members[0], parts.pop(0)
        if part == "[key]":
            return f"{place} key", str
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else part
        if is_typeddict(inner):
            kind = get_type_hints(inner, include_extras=True).get(str(part), inner)
        else:  # a list's items, a dict's values, or whatever `Any` holds
            kind = (get_args(inner) or (Any,))[-1]
    return place, kind


def _members(kind: Any) -> list[Any]:
    """What a type may be besides null, without annotations."""
    if get_origin(kind) is Annotated:
        return _members(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return [part for part in get_args(kind) if part is not type(None)]
    return [kind]


def _allowed(one: ErrorDetails, expected: Any) -> str:
    if one["type"] == "extra_forbidden":
        return ", ".join(get_type_hints(expected))
    allowed = one["msg"].removeprefix("Input should be ")
    return JSON_WORDS.get(allowed, allowed)


def _line(place: str, one: ErrorDetails, allowed: list[str], expected: Any) -> str:
    if one["type"] == "missing":
        return f"{place}: missing (write null for what was not measured)"
    if one["type"] == "extra_forbidden":
        return f"{place}: unknown; allowed are {allowed[0]}"
    shown = str(one.get("ctx", {}).get("held", repr(one["input"])))
    if len(shown) > SHOWN_CHARACTERS:
        shown = f"{shown[: SHOWN_CHARACTERS - 3]}..."
    if type(None) in get_args(expected):
        allowed = [*allowed, "null"]
    return f"{place}: got {shown}, must be {' or '.join(dict.fromkeys(allowed))}"


def _only_json(value: dict[str, Any]) -> dict[str, Any]:
    """Let an object pass that JSON can hold.

    Raises:
        PydanticCustomError: names the first value that JSON cannot hold, and its place.
    """
    for place, inner in _not_json(value, ""):
        raise PydanticCustomError(
            "json", "a value that JSON can hold", {"within": place, "held": repr(inner)}
        )
    return value


def _not_json(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yield the values that JSON cannot hold; lists and tuples are the same to it."""
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, str):
                yield from _not_json(item, f"{place}.{key}")
            else:
                yield f"{place} key", key
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _not_json(item, f"{place}[{index}]")
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield place, value
    elif value is not None and not isinstance(value, (str, int)):
        yield place, value


JsonObject = Annotated[dict[str, Any], AfterValidator(_only_json)]
