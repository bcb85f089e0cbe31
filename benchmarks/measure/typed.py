# SPDX-License-Identifier: Apache-2.0
"""Holds a JSON document against TypedDicts, which are its schema, and names what does not fit.

Every key must be there and no other; what was not measured is null, so that a forgotten figure and
one that was not taken cannot be confused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Within:
    """The numbers that are allowed, both ends included, and their unit where they have one."""

    low: float
    high: float
    unit: str = ""


Count = Annotated[int, Within(0, math.inf)]
Bytes = Annotated[int, Within(0, math.inf, "bytes")]
Milliseconds = Annotated[float, Within(0, math.inf, "ms")]
Seconds = Annotated[float, Within(0, math.inf, "s")]
Amount = Annotated[float, Within(0, math.inf)]  # a ratio, a mean of counts
Percent = Annotated[float, Within(0, 100, "%")]  # 44.0, not 0.44
Scalar = str | int | float | bool | None

# What a message shows of a value that is wrong, and how many of those.
SHOWN_CHARACTERS = 60
SHOWN_LINES = 20


def check(document: Any, kind: Any, contradictions: Callable[[Any], Iterator[str]]) -> None:
    """Check a document against its type, and then against itself.

    Args:
        document: what `json.load` or a measurement gives.
        kind: its TypedDict, which gives it its name in the message.
        contradictions: yields a line for each field that says something else than those beside it.

    Raises:
        ValueError: on one line, the fields that are wrong, what they hold and what is allowed.
    """
    wrong = list(mismatches(document, kind)) or list(contradictions(document))
    if not wrong:
        return
    if len(wrong) > SHOWN_LINES:
        wrong[SHOWN_LINES:] = [f"and {len(wrong) - SHOWN_LINES} more"]
    message = f"the {kind.__name__.lower()} cannot be used: {'; '.join(wrong)}"
    raise ValueError(" ".join(message.split()))  # keys and names may hold line breaks


def mismatches(value: Any, kind: Any, where: str = "") -> Iterator[str]:
    """Yield a line for each place at which a value is not of its type: got what, must be what.

    Args:
        value: what `json.load` gives; tuples pass for lists.
        kind: a TypedDict, or what its fields may be: unions, lists, dicts, Literals, `Any` (any
            JSON value), numbers annotated with `Within`, and anything annotated with the
            TypedDict that it is held against.
        where: the place of `value`, as in `files[0].bytes`.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if is_typeddict(kind):
        yield from _keys(value, kind, where)
    elif origin in (Union, UnionType):
        if not any(_fits(value, choice) for choice in arguments):
            # The choice that shares the value's shape explains best what is wrong within it.
            nested = [c for c in arguments if _shape(c) is type(value)]
            yield from (
                mismatches(value, nested[0], where)
                if nested and isinstance(value, (dict, list))
                else [_line(where, value, " or ".join(map(called, arguments)))]
            )
    elif origin is Annotated and is_typeddict(arguments[1]):
        yield from mismatches(value, arguments[1], where)
    elif origin is Annotated:
        if not _fits(value, arguments[0]) or not arguments[1].low <= value <= arguments[1].high:
            yield _line(where, value, called(kind))
    elif kind is Any:
        whole: dict[type, Any] = {dict: dict[str, Any], list: list[Any], tuple: list[Any]}
        yield from mismatches(value, whole.get(type(value), Scalar), where)
    elif origin is list and isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from mismatches(item, arguments[0], f"{where}[{index}]")
    elif origin is dict and isinstance(value, dict):
        for key, item in value.items():
            yield from mismatches(key, arguments[0], f"{where} key")
            yield from mismatches(item, arguments[1], f"{where}.{key}")
    elif not _is_plain(value, kind):
        yield _line(where, value, called(kind))


def called(kind: Any) -> str:
    """What a type is called where a person reads it."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(json.dumps(choice) for choice in arguments)
    if origin is Annotated:
        low, high = arguments[1].low, arguments[1].high
        bounds = f">= {low}" if high == math.inf else f"from {low} to {high}"
        return f"{called(arguments[0])} {bounds}"
    names = {str: "a string", int: "an integer", float: "a finite number", bool: "true or false"}
    names |= {type(None): "null", list: "a list", dict: "an object"}
    return names[_shape(kind)]


def _shape(kind: Any) -> Any:
    """The plain type that values of `kind` have."""
    return dict if is_typeddict(kind) else get_origin(kind) or kind


def _keys(value: Any, kind: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        place = where or kind.__name__.lower()
        yield _line(place, value, f"an object with {', '.join(kind.__annotations__)}")
        return
    hints = get_type_hints(kind, include_extras=True)
    path = f"{where}." if where else ""
    for key, hint in hints.items():
        if key in value:
            yield from mismatches(value[key], hint, path + key)
        else:
            yield f"{path}{key}: missing (write null for what was not measured)"
    for key in value:
        if key not in hints:
            yield f"{path}{key}: unknown; allowed are {', '.join(hints)}"


def _is_plain(value: Any, kind: Any) -> bool:
    """Whether `value` is of a type without parts."""
    if get_origin(kind) is Literal:
        return any(type(value) is type(choice) and value == choice for choice in get_args(kind))
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is kind  # not isinstance: True is no int


def _fits(value: Any, kind: Any) -> bool:
    return next(mismatches(value, kind), None) is None


def _line(where: str, value: Any, allowed: str) -> str:
    shown = repr(value)
    if len(shown) > SHOWN_CHARACTERS:
        shown = f"{shown[: SHOWN_CHARACTERS - 3]}..."
    return f"{where}: got {shown}, must be {allowed}"
