# SPDX-License-Identifier: Apache-2.0
"""Reads and checks question-answering data: SQuAD files, hub data sets, the embedded set.

The file format is that of Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of
Text" (2016) and of its version 2.0 (2018).  Offsets are counted in Unicode code points.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pipeline.data.sources import EMBEDDED, Part, read_bytes
from pipeline.errors import UserError
from pipeline.hub import is_hub_id, load_dataset

LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON joins the two halves of a whole pair


@dataclass(frozen=True)
class Question:
    """One question about one passage.

    Attributes:
        id: unique within its file.
        title: of the article or passage.
        context: the passage.
        text: the question.
        answers: every acceptable answer; empty where the passage holds none (SQuAD 2.0).
        starts: the code point in `context` at which each answer starts.
    """

    id: str
    title: str
    context: str
    text: str
    answers: tuple[str, ...]
    starts: tuple[int, ...]


@dataclass(frozen=True)
class QuestionSet:
    """Questions with where they came from.

    Attributes:
        name: file name, hub id or `embedded`; never a path, so that reports travel.
        sha256: of the content that was read.
        questions: in the order of the file.
        skipped: how many questions were left out because their answer is not at its offset.
    """

    name: str
    sha256: str
    questions: tuple[Question, ...]
    skipped: int = 0

    @property
    def passages(self) -> tuple[str, ...]:
        """The distinct passages, in order of first use."""
        return tuple(dict.fromkeys(q.context for q in self.questions))

    @property
    def examples(self) -> tuple[Question, ...]:
        """The questions: the name that every task has for them."""
        return self.questions

    @property
    def texts(self) -> tuple[str, ...]:
        """The passages, likewise."""
        return self.passages

    @property
    def has_unanswerable(self) -> bool:
        """Whether any question has no answer in its passage, as in SQuAD 2.0."""
        return any(not q.answers for q in self.questions)

    def limited(self, count: int | None) -> QuestionSet:
        """The first `count` questions (all of them for None)."""
        if count is None or count >= len(self.questions):
            return self
        return QuestionSet(self.name, self.sha256, self.questions[:count], self.skipped)

    def spread(self, most: int) -> QuestionSet:
        """At most `most` questions, from the first on, the gaps between them as equal as can be."""
        there = len(self.questions)
        count = min(most, there)
        picked = tuple(self.questions[place * there // count] for place in range(count))
        return QuestionSet(self.name, self.sha256, picked, self.skipped)

    def facts(self) -> dict[str, Any]:
        """What a report says of the data."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "counts": {
                "questions": len(self.questions),
                "passages": len(self.passages),
                "skipped": self.skipped,
            },
        }


def load_questions(
    source: str, part: Part, *, bad_answers: Literal["error", "skip"] = "error"
) -> QuestionSet:
    """Reads one part of a question-answering data set.

    Args:
        source: `embedded`, the path of a SQuAD 1.1 or 2.0 JSON file, or the id of a hub data set
            with SQuAD's columns (`rajpurkar/squad`), read through `datasets` and its cache.
        part: which half of `embedded` or of a hub data set; a file is read whole.
        bad_answers: what to do with an answer that does not stand at its offset.

    Raises:
        UserError: for anything that is missing, damaged or not in the format.
    """
    if source == EMBEDDED:
        resource = resources.files(__package__) / "embedded" / f"{part}.json"
        return parse_squad(resource.read_bytes(), f"{EMBEDDED} {part}", bad_answers)
    path = Path(source)
    if path.is_file():
        return parse_squad(read_bytes(path), path.name, bad_answers)
    if is_hub_id(source):
        return _from_hub(source, part, bad_answers)
    raise UserError(
        f"no data file {source}: name a SQuAD 1.1 or 2.0 JSON file, a hub data set such as "
        f"rajpurkar/squad, or `{EMBEDDED}`"
    )


def parse_squad(content: bytes, name: str, bad_answers: Literal["error", "skip"]) -> QuestionSet:
    """Parses the bytes of a SQuAD file.

    Raises:
        UserError: if it is empty, not JSON (the line is named), not SQuAD's structure (the place is
            named), holds no question, or holds an answer not at its offset and `bad_answers` is
            "error".
    """
    if not content.strip():
        raise UserError(f"{name} is empty: expected a SQuAD 1.1 or 2.0 JSON file")
    try:
        document = json.loads(content)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name} is not UTF-8 text (byte {error.start}): save it as UTF-8"
        ) from error
    except json.JSONDecodeError as error:
        raise UserError(
            f"{name} is not valid JSON (line {error.lineno}: {error.msg}); it may be cut short: "
            "fetch or export it again"
        ) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, deep nesting
        raise UserError(
            f"{name} is no JSON that can be read ({error}): fetch or export it again"
        ) from error
    return _collect(
        name, hashlib.sha256(content).hexdigest(), _walk_squad(document, name), bad_answers
    )


def _walk_squad(document: Any, name: str) -> Iterator[Question]:
    """Yields the questions of a parsed file, naming the place of anything out of form."""

    def get(holder: Any, key: str, kind: type, place: str) -> Any:
        value = holder.get(key) if isinstance(holder, dict) else None
        if not isinstance(value, kind) or isinstance(value, bool):  # to Python, True is an int
            raise UserError(
                f"{name}: {place} has no `{key}` of type {kind.__name__}; expected SQuAD's form: "
                "data[].paragraphs[].{context, "
                "qas[].{id, question, answers[].{text, answer_start}}}"
            )
        if isinstance(value, str) and LONE_SURROGATE.search(value):  # no tokenizer takes it
            raise UserError(
                f"{name}: `{key}` of {place} holds half of a surrogate pair, which is no "
                "character: write the text again as UTF-8"
            )
        return value

    for i, article in enumerate(get(document, "data", list, "the file")):
        paragraphs = get(article, "paragraphs", list, f"data[{i}]")
        title = article.get("title", "")
        for j, paragraph in enumerate(paragraphs):
            place = f"data[{i}].paragraphs[{j}]"
            context = get(paragraph, "context", str, place)
            for k, qa in enumerate(get(paragraph, "qas", list, place)):
                spot = f"{place}.qas[{k}]"
                impossible = isinstance(qa, dict) and qa.get("is_impossible") is True
                answers = [] if impossible else get(qa, "answers", list, spot)
                yield Question(
                    id=str(qa.get("id", spot)),
                    title=str(title),
                    context=context,
                    text=get(qa, "question", str, spot),
                    answers=tuple(get(a, "text", str, f"{spot}.answers") for a in answers),
                    starts=tuple(get(a, "answer_start", int, f"{spot}.answers") for a in answers),
                )


def _from_hub(source: str, part: Part, bad_answers: Literal["error", "skip"]) -> QuestionSet:
    """Reads a hub data set with SQuAD's columns; offline it is found in the hub's local cache."""
    split = {"train": "train", "dev": "validation"}[part]
    rows = list(load_dataset(source, split))
    try:
        articles = [_article(row) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"hub data set {source} is not in SQuAD's form ({type(error).__name__}: {error}): its "
            "columns must be id, title, context, question and answers with text and answer_start"
        ) from error
    name = f"{source} {split}"
    digest = hashlib.sha256(json.dumps(rows, sort_keys=True, default=str).encode()).hexdigest()
    return _collect(name, digest, _walk_squad({"data": articles}, name), bad_answers)


def _article(row: Mapping[str, Any]) -> dict[str, Any]:
    """A hub data set's row in the form of a file: an article of one question."""
    pairs = zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True)
    answers = [{"text": text, "answer_start": start} for text, start in pairs]
    qa = {"id": row["id"], "question": row["question"], "answers": answers}
    paragraph = {"context": row["context"], "qas": [qa]}
    return {"title": row.get("title", ""), "paragraphs": [paragraph]}


def _collect(
    name: str, sha256: str, questions: Iterable[Question], bad_answers: Literal["error", "skip"]
) -> QuestionSet:
    """Checks every answer against its offset and counts or refuses the wrong ones."""
    kept, wrong, seen = [], [], set()
    for question in questions:
        if question.id in seen:
            raise UserError(
                f"{name}: the question id {question.id!r} is used twice; ids must differ"
            )
        seen.add(question.id)
        misplaced = [
            (answer, start)
            for answer, start in zip(question.answers, question.starts, strict=True)
            if not answer or start < 0 or question.context[start : start + len(answer)] != answer
        ]
        if misplaced:
            wrong.append((question, *misplaced[0]))
        else:
            kept.append(question)
    if wrong and bad_answers == "error":
        question, answer, start = wrong[0]
        found = question.context[max(start, 0) : max(start, 0) + max(len(answer), 1)]
        raise UserError(
            f"{name}: {len(wrong)} of {len(seen)} questions have an answer not at its offset; "
            f"first {question.id!r}: {answer[:80]!r} expected at {start}, the passage has "
            f"{found[:80]!r} there; mend the file or leave them out with --bad-answers skip"
        )
    if not kept:
        raise UserError(f"{name} holds no usable question ({len(wrong)} left out)")
    return QuestionSet(name, sha256, tuple(kept), skipped=len(wrong))
