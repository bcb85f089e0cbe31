# SPDX-License-Identifier: Apache-2.0
"""The one reader of `model.json` and `golden.json`.

A document is read strictly: no unknown key, no key twice, no value of another type, sizes within
bounds, names that are plain file names. `schema` holds the types of both. What a task adds to
`model.json` is a TypedDict of its own, which `own_part` checks. `tests/contract/hostile.json` lists
documents that every reader refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from typing_extensions import get_type_hints

from converters import ConversionError, one_line, sealed
from converters.interface import INPUTS
from pipeline.documents.schema import (
    GOLDEN_SCHEMA,
    MODEL_SCHEMA,
    SEARCH_SCHEMA,
    GoldenQuestions,
    GoldenTexts,
    Length,
    ModelDescription,
    Short,
)
from pipeline.errors import UserError

__all__ = [
    "GOLDEN_SCHEMA",
    "MODEL_SCHEMA",
    "SEARCH_SCHEMA",
    "Length",
    "Short",
    "check",
    "golden",
    "model",
    "model_schema",
    "own_part",
]


def model(path: Path, *, verify: bool = True) -> dict[str, Any]:
    """Read a model.json; the task's own part is not checked yet, see `own_part`.

    Args:
        path: of the file.
        verify: whether its digest must fit.

    Raises:
        UserError: it is missing, damaged, of another schema, or says what no build writes.
    """
    document = _read(path, (MODEL_SCHEMA, SEARCH_SCHEMA), verify)
    check(path, document, ModelDescription, _contradictions)
    return document


def golden(path: Path, *, verify: bool = True) -> dict[str, Any]:
    """Read a golden.json, of questions or of texts.

    Args:
        path: of the file.
        verify: whether its digest must fit.

    Raises:
        UserError: it is missing, damaged, of another schema, or says what no build writes.
    """
    document = _read(path, (GOLDEN_SCHEMA,), verify)
    kind, contradictions = (
        (GoldenQuestions, _wrong_questions)
        if "offsets" in document
        else (GoldenTexts, _wrong_texts)
    )
    check(path, document, kind, contradictions)
    return document


def own_part(path: Path, document: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    """What a task adds to a model.json.

    Args:
        path: of the file, for messages.
        document: what `model` returned.
        kind: a TypedDict of the keys that the task adds; its `__pydantic_config__` forbids others.

    Raises:
        UserError: a key is missing or unknown, or holds what no build writes.
    """
    common = get_type_hints(ModelDescription)
    part = {key: value for key, value in document.items() if key not in common}
    check(path, part, kind, lambda _: iter(()))
    limits, most = part.get("limits"), document["lengths"]["max"]
    if isinstance(limits, dict) and limits.get("max_length", 0) > most:
        raise _wrong(
            path, f"limits.max_length is {limits['max_length']}, and the files take {most}"
        )
    return part


def check(
    path: Path, document: Any, kind: Any, contradictions: Callable[[Any], Iterator[str]]
) -> None:
    """Check a document against a TypedDict, and then against itself.

    Raises:
        UserError: one line that names the first thing that is wrong.
    """
    try:
        _adapter(kind).validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        what = {"missing": "is missing", "extra_forbidden": "is unknown"}.get(first["type"])
        if what is None:
            rule = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
            what = f"is {one_line(repr(first['input']), 40)}, which {rule}"
        raise _wrong(path, f"{one_line(place, 80)} {what}") from error
    for line in contradictions(document):
        raise _wrong(path, line)


def _wrong(path: Path, what: str) -> UserError:
    return UserError(f"{path}: {what}; no build writes that: {sealed.AGAIN}")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """The validator of a type, made once."""
    return TypeAdapter(kind)


def model_schema(document: Mapping[str, Any]) -> int:
    """The schema of a model.json: a reader that knows no `search` would answer otherwise."""
    return SEARCH_SCHEMA if "search" in document else MODEL_SCHEMA


def _read(path: Path, schemas: tuple[int, ...], verify: bool) -> dict[str, Any]:
    """A document of a schema that this version reads."""
    try:
        document = sealed.parse(path)
        if not isinstance(document, dict) or type(document.get("schema_version")) is not int:
            raise UserError(f"no readable {path}: it belongs beside the exported file")
        if (version := document["schema_version"]) not in schemas:
            raise UserError(
                f"{path} has schema {one_line(version, 20)}, this version reads "
                f"{' and '.join(map(str, schemas))}: "
                "build the file again"
            )
        if verify:
            sealed.check(path, document)
    except ConversionError as error:
        raise UserError(str(error)) from error
    return document


def _contradictions(document: Any) -> Iterator[str]:
    """What a model.json says that contradicts itself; a line each."""
    if document["schema_version"] != model_schema(document):
        yield f"schema_version is {SEARCH_SCHEMA} where there is a search, and only there"
    names = [file["path"] for file in document["files"].values()]
    if len(set(names)) < len(names):
        yield "files has a path twice"
    if document["default"] not in names:
        yield f"default is {document['default']}, which files has not"
    if sorted(each["name"] for each in document["inputs"]) != sorted(INPUTS):
        yield f"inputs are not {', '.join(INPUTS)}"
    lengths = document["lengths"]
    if not lengths["min"] <= lengths["default"] <= lengths["max"]:
        yield "lengths.default is not between lengths.min and lengths.max"
    if lengths["static"] != sorted(set(lengths["static"])):
        yield "lengths.static is not ascending"
    tokenizer = document["tokenizer"]
    special = [each["id"] for each in tokenizer["special"].values()]
    added = [each["id"] for each in tokenizer["added"]]
    if max([*special, *added]) >= tokenizer["size"]:
        yield f"tokenizer has an id of {max([*special, *added])}, and {tokenizer['size']} pieces"
    for ids, what in ((special, "special"), (added, "added")):
        if len(set(ids)) < len(ids):
            yield f"tokenizer.{what} has an id twice"


def _wrong_questions(document: Any) -> Iterator[str]:
    for place, case in enumerate(document["cases"]):
        ends = len(case["context"])
        for window in case["windows"]:
            if window["first"] + len(window["offsets"]) > len(window["ids"]):
                yield f"cases.{place} has more offsets than ids"
            if any(not start <= end <= ends for start, end in window["offsets"]):
                yield f"cases.{place} has an offset outside of its context"
        length = len(case["windows"][0]["ids"]) if case["windows"] else None
        for name, answer in case["answers"].items():
            if not answer["start"] <= answer["end"] <= ends:
                yield f"cases.{place}.answers.{name} lies outside of its context"
            if {len(answer["start_logits"]), len(answer["end_logits"])} != {length}:
                yield f"cases.{place}.answers.{name} has not a logit for each id"


def _wrong_texts(document: Any) -> Iterator[str]:
    for place, case in enumerate(document["cases"]):
        if len(case["ids"]) != len(case["segment_ids"]):
            yield f"cases.{place} has not a segment for each id"
        if len({len(answer["logits"]) for answer in case["answers"].values()}) > 1:
            yield f"cases.{place} has files with different numbers of logits"
