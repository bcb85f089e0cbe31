# SPDX-License-Identifier: Apache-2.0
"""The types of `model.json` and `golden.json`, from which docs/schema is written."""

from __future__ import annotations

from typing import Annotated, Final, Literal, NotRequired

from pydantic import AfterValidator, ConfigDict, Field
from typing_extensions import TypedDict

from converters import is_text, sealed

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
    if not is_text(text):
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
File.__doc__ = """One exported file: its name, size and checksum, what runs it, and what it is for.

Attributes:
    path: Its name, in the folder of this document.
    bytes: Its size.
    sha256: Of its content, in hexadecimal; of a Core ML package, its seal.
    min_runtime: The oldest release of each runtime that computes it correctly.
    faults: Older runtimes that open the file and go wrong without an error, and how.
    for: What the file is for.
"""


class Tensor(TypedDict):
    """An input or output of the files.

    Attributes:
        name: Of the tensor.
        dtype: The type of its elements.
        shape: Its sizes; -1 stands for any.
    """

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    name: Short
    dtype: Literal["int32", "float32"]
    shape: Annotated[list[Row], Field(min_length=1, max_length=8)]


class Lengths(TypedDict):
    """The lengths of inputs that the files take, in word pieces.

    Attributes:
        default: The longest input that an app should make.
        min: The shortest that a file takes.
        max: The longest that a file takes.
        static: The only lengths that the files take, ascending; empty if they take any.
        note: What else limits the lengths in some runtime.
    """

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    default: Length
    min: Length
    max: Length
    static: Annotated[list[Length], Field(max_length=1000)]
    note: NotRequired[Short]


class Piece(TypedDict):
    """A word piece and its id.

    Attributes:
        piece: Its text.
        id: Its place in the vocabulary, from 0.
    """

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    piece: Annotated[Short, Field(min_length=1)]
    id: Place


class Special(TypedDict):
    """The five special pieces.

    Attributes:
        pad: Fills an input up to its length.
        unknown: Stands for a word that the vocabulary cannot spell.
        cls: Begins an input.
        sep: Ends a text.
        mask: Hides a word in training.
    """

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    pad: Piece
    unknown: Piece
    cls: Piece
    sep: Piece
    mask: Piece


class Added(TypedDict):
    """A token that is found whole, before a text is cut into word pieces.

    Attributes:
        content: Its text.
        id: The number that a model gets for it.
        special: Whether it is no part of a language, as [SEP] is.
        lstrip: Whether white space before it belongs to it.
        rstrip: Whether white space after it belongs to it.
        single_word: Whether it is found as a whole word only.
        normalized: Whether it is found in the normalized text, not in the text as it came.
        word_piece: Whether it is in the vocabulary as well.
    """

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
    """Everything that decides how a text becomes ids.

    Attributes:
        type: The algorithm.
        size: The number of ids.
        lower_case: Whether texts are lowercased.
        strip_accents: Whether accents are removed.
        split_cjk: Whether each CJK character is a word of its own.
        clean_text: Whether control characters are removed, and every white space becomes a space.
        continuation: What begins a piece that continues a word.
        max_word_characters: A word with more characters becomes the unknown piece.
        split_special: Whether a special token that stands in a text is cut into pieces like any
            word.
        special: The special pieces.
        added: Further tokens in the order of their ids; the special pieces only where they differ
            from the usual.
        file: The name of the vocabulary beside this document: one piece a line, its id from 0.
        sha256: Of the vocabulary, in hexadecimal.
    """

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
    """What `model.json` says of the exported files beside it, whatever their task.

    Attributes:
        schema_version: Of this document.
        made_by: The program that wrote it, with its version.
        task: What the model does.
        default: The name of the file that an app should take.
        files: The exported files by their precision.
        signature: The name of the graph that takes inputs of any length.
        inputs: What the files take.
        outputs: What the files give.
        lengths: Which lengths the inputs may have.
        tokenizer: How a text becomes ids.
        golden: The name of the document with examples beside this one.
        digest: SHA-256 of this document without this key, in the canonical form of RFC 8785.
    """

    __pydantic_config__ = _OPEN  # type: ignore[misc] # the task's own keys are checked apart

    schema_version: Annotated[int, Field(ge=MODEL_SCHEMA, le=SEARCH_SCHEMA)]
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
    """The first window of a passage.

    Attributes:
        ids: Of its word pieces.
        first: The position in `ids` of the first piece of the passage.
        offsets: The first and the past-the-last code point in the passage of each of its pieces.
    """

    ids: Ids
    first: Place
    offsets: list[Annotated[list[Place], Field(min_length=2, max_length=2)]]


class GoldenAnswer(TypedDict):
    """What a file answered when it was built.

    Attributes:
        text: The answer; empty for no answer.
        start: Its first code point in the passage.
        end: Its past-the-last code point.
        score: The sum of its start and end logits, less what the rule of the search subtracts.
        start_logits: Of the first window, one for each id.
        end_logits: Of the first window, one for each id.
    """

    text: Passage
    start: Place
    end: Place
    score: float
    start_logits: Logits
    end_logits: Logits


class GoldenQuestion(TypedDict):
    """A question with its passage.

    Attributes:
        question: The question.
        context: The passage.
        windows: The first window; empty where the question has no word pieces.
        window_count: How many windows of the passage are read.
        answers: What each file answered, by its name.
    """

    question: Passage
    context: Passage
    windows: Annotated[list[GoldenWindow], Field(max_length=1)]
    window_count: Annotated[int, Field(ge=1, lt=2**24)]
    answers: Annotated[dict[Name, GoldenAnswer], Field(min_length=1)]


class GoldenPrediction(TypedDict):
    """The class of a text with its probability, or the number predicted for it.

    Attributes:
        label: The most probable class.
        probability: Of that class, by a softmax over the logits.
        value: The number, of a regression.
        logits: One for each class, or the number.
    """

    label: NotRequired[Short]
    probability: NotRequired[Annotated[float, Field(ge=0, le=1)]]
    value: NotRequired[float]
    logits: Logits


class GoldenText(TypedDict):
    """A text, or a pair of texts.

    Attributes:
        text: The text, or the first of the pair.
        pair: The second text; absent for a single text.
        ids: Of the word pieces.
        segment_ids: 0 for the first text, 1 for the second.
        answers: What each file predicted, by its name.
    """

    text: Passage
    pair: NotRequired[Passage]
    ids: Ids
    segment_ids: Annotated[list[Annotated[int, Field(ge=0, le=1)]], Field(min_length=1)]
    answers: Annotated[dict[Name, GoldenPrediction], Field(min_length=1)]


class GoldenQuestions(TypedDict):
    """`golden.json` of question answering.

    Attributes:
        schema_version: Of this document.
        offsets: How places in a passage are counted.
        logits: How the logits came about, and how exactly an app can reproduce them.
        cases: The examples.
        digest: SHA-256 of this document without this key, in the canonical form of RFC 8785.
    """

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    schema_version: Annotated[int, Field(ge=GOLDEN_SCHEMA, le=GOLDEN_SCHEMA)]
    offsets: Literal["Unicode code points"]
    logits: Short
    cases: Annotated[list[GoldenQuestion], Field(min_length=1, max_length=100_000)]
    digest: Sha256


class GoldenTexts(TypedDict):
    """`golden.json` of text classification.

    Attributes:
        schema_version: Of this document.
        logits: How the logits came about, and how exactly an app can reproduce them.
        cases: The examples.
        digest: SHA-256 of this document without this key, in the canonical form of RFC 8785.
    """

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    schema_version: Annotated[int, Field(ge=GOLDEN_SCHEMA, le=GOLDEN_SCHEMA)]
    logits: Short
    cases: Annotated[list[GoldenText], Field(min_length=1, max_length=100_000)]
    digest: Sha256
