# SPDX-License-Identifier: Apache-2.0
"""Answers questions about texts with an exported file or a Hugging Face folder.

python -m pipeline.ask build/embedded/tflite/student-int8.tflite --context notes.txt "Who came?"
python -m pipeline.ask build/embedded/tflite/student-int8.tflite --questions questions.jsonl
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from converters import plain_file, terminal
from converters.interface import SPANS
from pipeline import command_line
from pipeline.errors import MOST_AT_A_TIME, UserError, at_least_one
from pipeline.files import beside
from pipeline.progress import Progress
from pipeline.tasks.question_answering.asked import Asked, read_asked
from pipeline.tasks.question_answering.candidates import Candidate, candidates
from pipeline.tasks.question_answering.described import Described, fitting
from pipeline.tasks.question_answering.evaluate import Answer, Answerer

LONGEST_NAME = 4096  # characters; file systems refuse longer paths
# Endings of files that hold texts; none is a word that a sentence ends with.
DOCUMENTS = (
    *("txt", "text", "md", "rst", "tex", "log", "csv", "tsv", "json", "jsonl", "xml", "html?"),
    *("pdf", "docx?", "odt", "rtf", "epub", "pages", "ya?ml", "gz", "zip"),
)
STANDARD_INPUT = "standard input"


def ask(
    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")],
    question: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="QUESTION")] = None,
    /,
    context: Annotated[str | None, tyro.conf.arg(metavar="TEXT|FILE|-")] = None,
    questions: Annotated[str | None, tyro.conf.arg(metavar="FILE|-")] = None,
    top: int | None = None,
    threads: int = 1,
    parallel: int = 1,
    max_windows: int | None = None,
    padded: bool = False,
    verify: bool = True,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """Answer a question about a passage, or all questions of a file, with an exported file.

    Args:
        file: Run this exported file, with its model.json beside it, or this Hugging Face folder.
        question: Answer this question.
        context: Search this passage: a text, a UTF-8 text file, or - for standard input.
        questions: Answer the questions of this file, or of - for standard input: JSON Lines with
            "question", "context" and perhaps "id", or a SQuAD file. Print a line of JSON for each:
            id, answer, start, end, score and probability. With --context, all of them share that
            passage. Start and end count the characters of the passage (Unicode code points).
        top: Print this many answers, best first. Their probabilities are the shares of a softmax
            over the scores of all spans that the model considered, and of "no answer" if the model
            may give none; they compare these answers and do not say how often an answer is right.
        threads: Run the model with this many threads.
        parallel: Run this many windows of a long passage at a time, each with --threads threads.
        max_windows: Read only this many windows of a long passage, those with most in common with
            the question (BM25). What model.json says is done if it is not given: usually all.
        padded: Pad every window to the longest length instead of running it at its own length.
        verify: Do not compare the file, its vocabulary and its model.json with their checksums: for
            who changed one of them on purpose.
        as_json: Print the answer as one JSON object, as --questions always does.
    """
    if (question is None) == (questions is None):
        raise UserError("give one QUESTION after FILE, or --questions FILE, and not both")
    if question is not None and context is None:
        raise UserError('give --context, the passage to search: a text, a file, or "-"')
    if top is not None:
        at_least_one("--top", top)
    if questions == context == "-":
        raise UserError("--questions and --context cannot both read standard input")
    passage = None if context is None else _read_context(context)
    if passage is not None and not passage.strip():
        raise UserError(
            "the passage is without text: give --context a text, a file that has one, or -"
        )
    if questions is not None:
        asked, mended = _read_questions(questions, passage)
        answerer = open_answerer(
            file,
            threads=threads,
            padded=padded,
            reuse=passage is not None,
            parallel=parallel,
            verify=verify,
        )
        _limit(answerer, max_windows)
        _answer_all(answerer, asked, top, mended)
        return
    answerer = open_answerer(file, threads=threads, padded=padded, parallel=parallel, verify=verify)
    _limit(answerer, max_windows)
    pieces, most = len(answerer.windower.pieces(question or "")[0]), answerer.limits.max_query
    if not 1 <= pieces <= most:
        raise UserError(f"the question has {pieces} word pieces: ask with 1 to {most}")
    answer, ranked = _answered(answerer, Asked(None, question or "", passage or ""))
    if as_json:
        document = {**asdict(answer), "probability": _rounded(ranked[0].probability)}
        print(terminal.json_line(document | _listed(ranked, top)))
    else:
        print(terminal.shown(_lines(answer, ranked[:top] if top else ())))


def _limit(answerer: Answerer, max_windows: int | None) -> None:
    """Let an answerer read that many windows of a passage; what it does already for None."""
    if max_windows is not None:
        at_least_one("--max-windows", max_windows)
        answerer.search = replace(answerer.search, max_windows=max_windows)


def _answered(answerer: Answerer, asked: Asked) -> tuple[Answer, list[Candidate]]:
    """The answer to a question with the time of each step, and all candidates, best first."""
    reading = answerer.run(asked.question, asked.context)
    for window, outputs in zip(reading.inputs, reading.outputs, strict=True):
        if any(len(one) != len(window.ids) or not np.isfinite(one).all() for one in outputs):
            raise UserError(
                f"the model gives logits that are no numbers, or not one for each of "
                f"{len(window.ids)} word pieces: it is damaged, or overflows; take another file"
            )
    return Answerer.timed(reading), candidates(answerer, reading, asked.context)


def _answer_all(
    answerer: Answerer, questions: Sequence[Asked], top: int | None, mended: str
) -> None:
    """Print a line of JSON for each question as soon as it is answered."""
    blank = cut = 0
    most = answerer.limits.max_query
    with Progress("asking", unit="question", shown=sys.stderr.isatty()) as progress:
        for done, asked in enumerate(questions, start=1):
            pieces = len(answerer.windower.pieces(asked.question)[0])
            blank += not pieces
            cut += pieces > most
            _, ranked = _answered(answerer, asked)
            line = {"id": asked.id, **_document(ranked[0]), **_listed(ranked, top)}
            if not terminal.stream(terminal.json_line(line)):
                return
            progress(done, len(questions))
    said = [mended] if mended else []
    said += [f"questions without word pieces, which have no answer: {blank:,}"] if blank else []
    said += [f"questions that were cut to {most} word pieces: {cut:,}"] if cut else []
    for each in said:
        print(terminal.shown(f"note: {each}"), file=sys.stderr)


def _document(candidate: Candidate) -> dict[str, Any]:
    return {**asdict(candidate), "probability": _rounded(candidate.probability)}


def _listed(ranked: Sequence[Candidate], top: int | None) -> dict[str, Any]:
    return {"answers": [_document(each) for each in ranked[:top]]} if top else {}


def _rounded(probability: float) -> float:
    """Six decimals: runtimes differ beyond them."""
    return round(probability, 6)


def _read_questions(name: str, passage: str | None) -> tuple[list[Asked], str]:
    """The questions of a file or of standard input, and what was mended in them."""
    label, path = STANDARD_INPUT if name == "-" else name, plain_file.expanded(name)
    try:
        data = sys.stdin.buffer.read() if name == "-" else plain_file.read_bytes(path)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"cannot read --questions {name} ({reason}): name a JSON Lines or SQuAD file, or -"
        ) from error
    return read_asked(data, label, passage)


def open_answerer(
    file: Path,
    *,
    threads: int = 1,
    padded: bool = False,
    reuse: bool = True,
    parallel: int = 1,
    verify: bool = True,
) -> Answerer:
    """Open a file with its tokenizer and its limits.

    Args:
        file: an exported file or a Hugging Face folder.
        threads: the number of threads of the runtime.
        padded: whether to pad every window to the longest length.
        reuse: see `Answerer`.
        parallel: how often to open the model, so that so many windows run at a time.
        verify: whether to compare the file and what lies beside it with their checksums first.

    Raises:
        UserError: the file, its model.json or its vocabulary is missing or damaged, or it does not
            answer questions.
    """
    from converters.runtimes.open import open_predictor
    from pipeline.models.teacher import TOKENIZER

    at_least_one("--threads", threads, most=MOST_AT_A_TIME)
    at_least_one("--parallel", parallel, most=MOST_AT_A_TIME)
    if (file / "config.json").is_file() and not any((file / name).is_file() for name in TOKENIZER):
        raise UserError(f"no tokenizer in {file}: expected {' or '.join(TOKENIZER)}")
    with beside.guarded(file, verify=verify):
        model = open_predictor(file, threads)
        if model.interface is not SPANS:
            raise UserError(
                f"{file} gives {', '.join(model.interface.names)}: only files that give "
                f"{' and '.join(SPANS.names)} answer questions; python -m pipeline.predict tries "
                "others"
            )
        how = describe(file, verify=verify)
        more = [open_predictor(file, threads) for _ in range(parallel - 1)]
    pad_to = how.limits.max_length if padded else None
    return how.answerer(model, pad_to=pad_to, reuse=reuse, more=more)


def describe(file: Path, *, verify: bool = True) -> Described:
    """Read how a file or folder is asked, without opening the model.

    A folder of a build, `hub` or `student`, has the limits of the build's files; any other folder
    has the usual limits as far as its position embeddings allow.

    Args:
        file: an exported file or a Hugging Face folder.
        verify: whether model.json and the vocabulary must have their checksums.

    Raises:
        UserError: its model.json or its vocabulary is missing or damaged.
    """
    if (file / "config.json").is_file():
        from converters.pretrained import load_config
        from pipeline.files.tokenizer import describe_tokenizer
        from pipeline.models import vocabulary
        from pipeline.models.teacher import load_tokenizer

        tokenizer = load_tokenizer(file)
        describe_tokenizer(tokenizer)  # refuses one that does not frame texts as BERT does
        if lacking := vocabulary.lacking(len(tokenizer), load_config(file).vocab_size):
            raise UserError(f"{file}: {lacking}")
        if (path := _model_json_of(file)) is not None:
            return Described.of(beside.description(path, verify=verify), tokenizer, path)
        return Described(tokenizer, fitting(load_config(file).max_position_embeddings))
    path = file.parent / "model.json"
    description = beside.description(path, verify=verify)
    tokenizer = beside.tokenizer(file.parent, description["tokenizer"], verify=verify)
    return Described.of(description, tokenizer, path)


def _model_json_of(folder: Path) -> Path | None:
    """The model.json of the files that a build made of the model in a folder, if there is one."""
    from pipeline.files.targets import FORMATS

    folder = folder.absolute()
    root = folder.parent if folder.name == "student" else folder
    paths = (root / name / "model.json" for name in FORMATS)
    return next((path for path in paths if path.is_file()), None)


def _read_context(context: str) -> str:
    """The passage: the text itself, or the content of a file or of standard input.

    A byte order mark is removed and line ends are kept, for files and for standard input, so that
    the offsets of an answer are those of the file.
    """
    name, data = context, None
    try:
        if context == "-":
            name, data = STANDARD_INPUT, sys.stdin.buffer.read()
        elif context.strip() and len(context) < LONGEST_NAME:
            path = plain_file.expanded(context)
            there = os.path.lexists(path) and not path.is_dir()
            data = plain_file.read_bytes(path) if there else None
            if data is None and (path.is_dir() or _names_a_file(context)):
                what = "a folder" if path.is_dir() else "not there"
                raise UserError(
                    f"--context {context} is {what}: name a UTF-8 text file, or give the text "
                    "itself, in whole sentences or with --context - through standard input"
                )
    except (ValueError, RuntimeError):
        pass  # no file can have this name, so it is a text
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:  # that is a text too
            raise UserError(f"cannot read {name}: {error.strerror}") from error
    if data is None:
        return context
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 text (byte {error.start}): convert it") from error
    if "\0" in text:
        raise UserError(
            f"{name} holds NUL characters, as UTF-16 and binary files do: convert it to UTF-8 text"
        )
    return text


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


def _lines(answer: Answer, ranked: Sequence[Candidate] = ()) -> str:
    """What a person reads: the answer, or a numbered list of `ranked`, and the times."""
    if ranked:
        width = len(str(len(ranked)))
        said = "\n".join(
            f"{number:{width}}. {each.answer or 'no answer in this text'}\n"
            f"{' ' * width}  {_place(each)}, probability {each.probability:.3f}"
            for number, each in enumerate(ranked, start=1)
        )
    elif not answer.text:
        said = "no answer in this text"
    else:
        said = f"{answer.text}\n  {_place(answer)}"
    windows = f"{answer.windows} window{'s' * (answer.windows > 1)}"
    return (
        f"{said}\n  {answer.infer_ms:.1f} ms for {windows}, "
        f"tokenizing {answer.tokenize_ms:.1f} ms, decoding {answer.decode_ms:.1f} ms"
    )


def _place(found: Answer | Candidate) -> str:
    score = f"score {found.score:.2f}"
    return f"characters {found.start} to {found.end}, {score}" if found.end else score


@terminal.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 after a mistake in the command or its files."""
    return command_line.call(ask, "python -m pipeline.ask", arguments)


if __name__ == "__main__":
    sys.exit(main())
