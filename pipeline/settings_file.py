# SPDX-License-Identifier: Apache-2.0
"""Reads a settings file: YAML, less what YAML reads in a way that nobody means."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

import yaml

from converters import one_line, plain_file
from pipeline.errors import UserError

LARGEST_BYTES: Final = 2**18  # the largest settings have a few kilobytes
MOST_MERGED: Final = 100  # mappings in one `<<`
# To YAML 1.1, 010 is eight and 1:30 is ninety.
_OTHER_BASES: Final = re.compile(r"[-+]?(0[0-7_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")
_STANDARD: Final = "tag:yaml.org,2002:"
_MERGE: Final = f"{_STANDARD}merge"
_KINDS: Final = {
    f"{_STANDARD}{kind}"
    for kind in ("null", "bool", "int", "float", "str", "seq", "map", "timestamp")
}


class _Loader(yaml.SafeLoader):
    """Builds no objects, and refuses what may mean two things."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        if node.tag not in _KINDS:
            raise _refused(f"{node.tag} is no kind of setting", node)
        return super().construct_object(node, deep)

    def flatten_mapping(self, node: Any) -> None:
        """Merges other mappings into one, each key once: lists of merges would multiply."""
        seen = set()
        for key, value in node.value:
            if key.tag == _MERGE:
                if len(value.value) > MOST_MERGED:
                    raise _refused(f"more than {MOST_MERGED} mappings are merged", node)
            elif _key(key) in seen:
                raise _refused(f"the key {key.value!r} stands twice", key)
            else:
                seen.add(_key(key))
        super().flatten_mapping(node)
        node.value = list({_key(key): (key, value) for key, value in node.value}.values())

    def construct_number(self, node: Any) -> Any:
        """A number, but for those in base 8 and 60."""
        if _OTHER_BASES.fullmatch(node.value):
            raise _refused(
                f"{node.value[:60]} is a number to base 8 or 60 in YAML: write it to base 10, or "
                "as a text in quotation marks",
                node,
            )
        of = self.construct_yaml_int if node.tag.endswith("int") else self.construct_yaml_float
        return of(node)


_Loader.add_constructor(f"{_STANDARD}int", _Loader.construct_number)
_Loader.add_constructor(f"{_STANDARD}float", _Loader.construct_number)


def _refused(why: str, node: Any) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, why, node.start_mark)


def _key(node: Any) -> tuple[str, Hashable]:
    """What two equal keys have in common; a key that is no scalar equals none."""
    return (node.tag, node.value if isinstance(node.value, str) else id(node))


def read(path: Path) -> dict[str, Any]:
    """The settings of a file.

    Raises:
        UserError: it cannot be read, is too large, or is refused by `parse`.
    """
    try:
        data = plain_file.read_bytes(path, LARGEST_BYTES + 1)
        text = data.decode("utf-8")
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a name with a NUL
        raise UserError(f"cannot read the settings {path}: {one_line(error)}") from error
    if len(data) > LARGEST_BYTES:
        raise UserError(
            f"the settings {path} have more than {LARGEST_BYTES:,} bytes: name a YAML file of "
            "settings"
        )
    return parse(str(path), text)


def parse(name: str, text: str) -> dict[str, Any]:
    """The mapping that a text of YAML holds; no text can run code.

    Args:
        name: of the file, for messages.
        text: its content.

    Raises:
        UserError: it is no YAML, no mapping from texts, or writes something that may mean two
            things: a key twice, a number to another base than 10.
    """
    try:
        loader = _Loader(text)
        try:
            document = loader.get_single_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a month 13
        raise UserError(f"{name} is not valid YAML: {one_line(error)}") from error
    if document is None:
        return {}
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise UserError(f"{name} holds a {type(document).__name__}: expected settings by name")
    return document
