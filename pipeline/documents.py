# SPDX-License-Identifier: Apache-2.0
"""The schema of `model.json` and `golden.json`, and the one reader of both.

A document is read strictly: no unknown key, no key twice, no value of another type, sizes within
bounds, names that are plain file names. What a task adds to `model.json` is a TypedDict of its own,
which `own_part` checks. `tests/contract/hostile.json` lists documents that every reader refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NotRequired

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict, get_type_hints

from converters import ConversionError, one_line, sealed
from converters.interface import INPUTS
from pipeline.errors import UserError

MODEL_SCHEMA: Final = 3  # 3 added `digest`
SEARCH_SCHEMA: Final = 4  # of a model.json with `search`, so that older apps refuse it
GOLDEN_SCHEMA: Final = 2  # 2 added `digest`

_STRICT: Final = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
_OPEN: Final = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


def _plain(name: str) -> str:
    if not sealed.is_plain(name):
        raise ValueError("must be a plain file name")
    return name


def _paired(text: str) -> str:
    """No half of a surrogate pair, which JSON can spell and UTF-8 cannot."""
    if any("\ud800" <= each <= "\udfff" for each in text):
        raise ValueError("holds half a surrogate pair")
    return text


# The bounds are far beyond any BERT, and far below what would fill a machine's memory.
Name = Annotated[str, AfterValidator(_plain)]
Short = Annotated[str, Field(max_length=1000), AfterValidator(_paired)]
Passage = Annotated[str, Field(max_length=10_000_000), AfterValidator(_paired)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=1, le=2**40)]  # bytes
Length = Annotated[int, Field(ge=1, le=2**16)]  # word pieces
Place = Annotated[int, Field(ge=0, lt=2**24)]  # an id, or a position in a text
Row = Annotated[int, Field(ge=-1, le=2**16)]  # of a shape; -1 is any
Logits = Annotated[list[float], Field(min_length=1, max_length=2**16)]
Ids = Annotated[list[Place], Field(min_length=1, max_length=2**16)]


File = TypedDict(
    "File",
    {
        "path": Name,
        "bytes": Size,
        "sha256": Sha256,
        "min_runtime": dict[Short, Short],
        "faults": dict[Short, Short],
        "for": Short,
    },
)
File.__pydantic_config__ = _STRICT  # type: ignore[attr-defined]
File.__doc__ = "One exported file: its name, size and checksum, what runs it, and what it is for."


class Tensor(TypedDict):
    """An input or output of the files."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    name: Short
    dtype: Literal["int32", "float32"]
    shape: Annotated[list[Row], Field(min_length=1, max_length=8)]


class Lengths(TypedDict):
    """The lengths of inputs that the files take, in word pieces."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    default: Length
    min: Length
    max: Length
    static: Annotated[list[Length], Field(max_length=1000)]
    note: NotRequired[Short]


class Piece(TypedDict):
    """A word piece and its id."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    piece: Annotated[Short, Field(min_length=1)]
    id: Place


class Special(TypedDict):
    """The five special pieces."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    pad: Piece
    unknown: Piece
    cls: Piece
    sep: Piece
    mask: Piece


class Added(TypedDict):
    """A token that is found whole, before a text is cut into word pieces."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    content: Annotated[Short, Field(min_length=1)]
    id: Place
    special: bool
    lstrip: bool
    rstrip: bool
    single_word: bool
    normalized: bool
    word_piece: bool


class Tokenizer(TypedDict):
    """Everything that decides how a text becomes ids."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    type: Literal["wordpiece"]
    size: Annotated[int, Field(ge=5, le=2**24)]
    lower_case: bool
    strip_accents: bool
    split_cjk: bool
    clean_text: bool
    continuation: Annotated[Short, Field(max_length=100)]
    max_word_characters: Annotated[int, Field(ge=1, le=2**20)]
    split_special: bool
    special: Special
    added: Annotated[list[Added], Field(max_length=2**20)]
    file: Name
    sha256: Sha256


class ModelDescription(TypedDict):
    """What `model.json` says of the exported files beside it, whatever their task."""

    __pydantic_config__ = _OPEN  # type: ignore[misc] # the task's own keys are checked apart

    schema_version: int
    made_by: Short
    task: Short
    default: Name
    files: Annotated[dict[Short, File], Field(min_length=1, max_length=100)]
    signature: Short
    inputs: Annotated[list[Tensor], Field(min_length=1, max_length=10)]
    outputs: Annotated[list[Tensor], Field(min_length=1, max_length=10)]
    lengths: Lengths
    tokenizer: Tokenizer
    golden: Name
    digest: Sha256


class GoldenWindow(TypedDict):
    """The first window of a passage."""

    ids: Ids
    first: Place
    offsets: list[Annotated[list[Place], Field(min_length=2, max_length=2)]]


class GoldenAnswer(TypedDict):
    """What a file answered when it was built."""

    text: Passage
    start: Place
    end: Place
    score: float
    start_logits: Logits
    end_logits: Logits


class GoldenQuestion(TypedDict):
    """A question with its passage."""

    question: Passage
    context: Passage
    windows: Annotated[list[GoldenWindow], Field(max_length=1)]
    window_count: Annotated[int, Field(ge=1, lt=2**24)]
    answers: Annotated[dict[Name, GoldenAnswer], Field(min_length=1)]


class GoldenPrediction(TypedDict):
    """The class of a text with its probability, or the number predicted for it."""

    label: NotRequired[Short]
    probability: NotRequired[Annotated[float, Field(ge=0, le=1)]]
    value: NotRequired[float]
    logits: Logits


class GoldenText(TypedDict):
    """A text, or a pair of texts."""

    text: Passage
    pair: NotRequired[Passage]
    ids: Ids
    segment_ids: Annotated[list[Annotated[int, Field(ge=0, le=1)]], Field(min_length=1)]
    answers: Annotated[dict[Name, GoldenPrediction], Field(min_length=1)]


class GoldenQuestions(TypedDict):
    """`golden.json` of question answering."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    schema_version: int
    offsets: Literal["Unicode code points"]
    logits: Short
    cases: Annotated[list[GoldenQuestion], Field(min_length=1, max_length=100_000)]
    digest: Sha256


class GoldenTexts(TypedDict):
    """`golden.json` of text classification."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    schema_version: int
    logits: Short
    cases: Annotated[list[GoldenText], Field(min_length=1, max_length=100_000)]
    digest: Sha256


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
