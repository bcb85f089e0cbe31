# SPDX-License-Identifier: Apache-2.0
"""Answers a question about a text with an exported file or a Hugging Face folder.

python -m pipeline.ask build/embedded/tflite/student-int8.tflite --context notes.txt "Who came?"
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import tyro

from converters import terminal
from converters.runtimes import checksums
from pipeline import __version__
from pipeline.errors import UserError
from pipeline.settings import version_asked
from pipeline.tasks.question_answering.evaluate import Answer, Answerer
from pipeline.tasks.question_answering.features import Limits

LONGEST_NAME = 4096  # characters; file systems refuse longer paths
# Endings of files that hold texts; none is a word that a sentence ends with.
DOCUMENTS = (
    *("txt", "text", "md", "rst", "tex", "log", "csv", "tsv", "json", "jsonl", "xml", "html?"),
    *("pdf", "docx?", "odt", "rtf", "epub", "pages", "ya?ml", "gz", "zip"),
)


def ask(
    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")],
    question: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="QUESTION")],
    /,
    context: Annotated[str, tyro.conf.arg(metavar="TEXT|FILE|-")],
    threads: int = 1,
    padded: bool = False,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """Answer a question about a passage with an exported file.

    Args:
        file: Run this exported file, with its model.json beside it, or this Hugging Face folder.
        question: Answer this question.
        context: Search this passage: a text, a UTF-8 text file, or - for standard input.
        threads: Run the model with this many threads.
        padded: Pad every window to the longest length instead of running it at its own length.
        as_json: Print the answer as one JSON object.
    """
    answerer = open_answerer(file, threads=threads, padded=padded)
    passage = _read_context(context)
    if not passage.strip():
        raise UserError(
            "the passage is without text: give --context a text, a file that has one, or -"
        )
    pieces, most = len(answerer.windower.pieces(question)[0]), answerer.limits.max_query
    if not 1 <= pieces <= most:
        raise UserError(f"the question has {pieces} word pieces: ask with 1 to {most}")
    answer = answerer.answer(question, passage)
    if as_json:
        print(terminal.json_line(asdict(answer)))
    else:
        print(_lines(answer))


def open_answerer(file: Path, *, threads: int = 1, padded: bool = False) -> Answerer:
    """Open a file with its tokenizer and its limits.

    Args:
        file: an exported file or a Hugging Face folder.
        threads: the number of threads of the runtime.
        padded: whether to pad every window to the longest length.

    Raises:
        UserError: the file, its model.json or its vocabulary is missing or damaged.
    """
    from converters.runtimes.open import open_predictor
    from pipeline.files.targets import BY_SUFFIX
    from pipeline.models.teacher import TOKENIZER

    if threads < 1:
        raise UserError(f"--threads {threads}: at least 1")
    if (file / "config.json").is_file() and not any((file / name).is_file() for name in TOKENIZER):
        raise UserError(f"no tokenizer in {file}: expected {' or '.join(TOKENIZER)}")
    if file.exists() and file.suffix in BY_SUFFIX:
        checksums.verify(file, listed=True)
    model = open_predictor(file, threads)
    if (file / "config.json").is_file():
        from pipeline.models.teacher import load_tokenizer

        limits = Limits()
        return Answerer(
            model, load_tokenizer(file), limits, pad_to=limits.max_length if padded else None
        )
    description = _description(file.parent / "model.json")
    try:
        limits = Limits(**description["limits"])
        tokenizer = _tokenizer(file.parent, description["tokenizer"])
        may_abstain = bool(description["may_abstain"])
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{file.parent / 'model.json'} lacks {error}: build the file again"
        ) from error
    null_threshold = description.get("null_threshold", 0.0)  # files without one have none
    if type(null_threshold) not in (int, float) or not math.isfinite(null_threshold):
        raise UserError(
            f"{file.parent / 'model.json'}: null_threshold is {str(null_threshold)[:80]!r}, not a "
            "number: build the file again"
        )
    return Answerer(
        model,
        tokenizer,
        limits,
        pad_to=limits.max_length if padded else None,
        may_abstain=may_abstain,
        null_threshold=null_threshold,
    )


def _description(path: Path) -> dict[str, Any]:
    from pipeline.files.export import MODEL_SCHEMA

    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        version = document["schema_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"no readable {path}: it belongs beside the exported file") from error
    if version != MODEL_SCHEMA:
        raise UserError(
            f"{path} has schema {version}, this version reads {MODEL_SCHEMA}: build the file again"
        )
    return dict(document)


def _tokenizer(folder: Path, description: dict[str, Any]) -> Any:
    """A BERT tokenizer from vocab.txt, the same as an app builds."""
    from converters.runtimes.checksums import sha256
    from pipeline.files.tokenizer import tokenizer_of

    vocabulary = folder / str(description["file"])
    if not vocabulary.is_file():
        raise UserError(f"no {vocabulary}: the vocabulary belongs beside the exported file")
    if sha256(vocabulary) != description["sha256"]:
        raise UserError(
            f"{vocabulary} is not the vocabulary that model.json names: build the file again"
        )
    return tokenizer_of(vocabulary, description)


def _read_context(context: str) -> str:
    """The passage: the text itself, or the content of a file or of standard input.

    A byte order mark is removed and line ends are kept, for files and for standard input, so that
    the offsets of an answer are those of the file.
    """
    name, data = context, None
    try:
        if context == "-":
            name, data = "standard input", sys.stdin.buffer.read()
        elif context.strip() and len(context) < LONGEST_NAME:
            path = Path(context).expanduser()
            data = path.read_bytes() if path.is_file() else None
            if data is None and (path.is_dir() or _names_a_file(context)):
                what = "a folder" if path.is_dir() else "not there"
                raise UserError(
                    f"--context {context} is {what}: name a UTF-8 text file, or give the text "
                    "itself, in whole sentences or with --context - through standard input"
                )
    except (OSError, ValueError, RuntimeError) as error:
        if data is None and isinstance(error, OSError) and error.filename is not None:
            raise UserError(f"cannot read {name}: {error.strerror}") from error
        # No file can have this name, so it is a text.
    if data is None:
        return context
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 text (byte {error.start}): convert it") from error


def _names_a_file(context: str) -> bool:
    """Whether a text looks like the name of a file; a sentence never does.

    It does if it has one line and ends with the suffix of a document, contains a slash and no
    space, or begins like a path.
    """
    return "\n" not in context and bool(
        re.search(rf"\w\.({'|'.join(DOCUMENTS)})$", context, re.IGNORECASE)
        or re.fullmatch(r"\S*[/\\]\S*", context)
        or re.match(r"(~|\.{1,2})?[/\\]\w", context)
    )


def _lines(answer: Answer) -> str:
    if not answer.text:
        said = "no answer in this text"
    else:
        said = (
            f"{answer.text}\n  characters {answer.start} to {answer.end}, score {answer.score:.2f}"
        )
    windows = f"{answer.windows} window{'s' * (answer.windows > 1)}"
    return (
        f"{said}\n  {answer.infer_ms:.1f} ms for {windows}, "
        f"tokenizing {answer.tokenize_ms:.1f} ms, decoding {answer.decode_ms:.1f} ms"
    )


@terminal.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 after a mistake in the command or its files."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if version_asked(arguments):
        print(f"pipeline {__version__}")
        return 0
    only_on = (tyro.conf.FlagCreatePairsOff,)  # a flag has no negated form
    tyro.cli(ask, prog="python -m pipeline.ask", args=arguments, config=only_on)
    return 0


if __name__ == "__main__":
    sys.exit(main())
