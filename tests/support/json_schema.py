# SPDX-License-Identifier: Apache-2.0
"""Checks a value against the part of JSON Schema (draft 2020-12) that docs/schema uses."""

from __future__ import annotations

import re
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}


def wrong(value: Any, schema: dict[str, Any]) -> str:
    """What is wrong first with a value; empty if it fits."""
    return _wrong(value, schema, schema, "")[0]


def _wrong(
    value: Any, kind: dict[str, Any], root: dict[str, Any], place: str
) -> tuple[str, set[str]]:
    """What is wrong, and the keys of the value that the schema knows."""
    known: set[str] = set()
    if "$ref" in kind:
        return _wrong(value, root["$defs"][kind["$ref"].rpartition("/")[2]], root, place)
    if "anyOf" in kind:
        found = [_wrong(value, one, root, place) for one in kind["anyOf"]]
        if all(said for said, _ in found):
            return "; ".join(said for said, _ in found), known
        known |= {key for said, keys in found if not said for key in keys}
    if said := _plain(value, kind):
        return f"{place or 'the document'} {said}", known
    if isinstance(value, dict):
        properties = kind.get("properties", {})
        for key, item in value.items():
            other = kind.get("additionalProperties", {})
            if key not in properties and other is False:
                return f"{place}.{key} is unknown", known
            if said := _wrong(item, properties.get(key, other), root, f"{place}.{key}")[0]:
                return said, known
        known |= set(properties)
        if lacking := [key for key in kind.get("required", ()) if key not in value]:
            return f"{place}.{lacking[0]} is missing", known
        if kind.get("unevaluatedProperties") is False and (rest := set(value) - known):
            return f"{place}.{min(rest)} is unknown", known
    if isinstance(value, list):
        for number, item in enumerate(value):
            if said := _wrong(item, kind.get("items", {}), root, f"{place}.{number}")[0]:
                return said, known
    return "", known


def _plain(value: Any, kind: dict[str, Any]) -> str:
    """What is wrong with the value itself, its parts apart."""
    named = kind.get("type")
    if named and (
        not isinstance(value, TYPES[named]) or (isinstance(value, bool) and named != "boolean")
    ):
        return f"is no {named}"
    allowed = kind.get("enum", [kind["const"]] if "const" in kind else [value])
    if value not in allowed:
        return "is no allowed value"
    if isinstance(value, str) and not re.search(kind.get("pattern", ""), value):
        return "does not match"
    size = len(value) if isinstance(value, (str, list, dict)) else value
    ends = [
        *((kind.get(key), -1) for key in ("minimum", "minLength", "minItems", "minProperties")),
        *((kind.get(key), 1) for key in ("maximum", "maxLength", "maxItems", "maxProperties")),
        *((limit and limit - 1, 1) for limit in [kind.get("exclusiveMaximum")]),
    ]
    out = any(end is not None and (size - end) * sign > 0 for end, sign in ends)
    return "is out of bounds" if out else ""
