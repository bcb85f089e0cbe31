# SPDX-License-Identifier: Apache-2.0
"""The forms in which people keep question-answering data, brought to one.

The file may be a SQuAD document, a list of articles or rows, JSON Lines, or either in gzip.  What a
file writes in a way that has one meaning only is read and counted (`REPAIRS`); anything else is
refused with its place.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from converters import is_text
from pipeline.data.sources import GZIP, Part, unpacked
from pipeline.errors import UserError

FORM: Final = (
    "SQuAD's form: data[].paragraphs[].{context, qas[].{id, question, answers[].{text, "
    "answer_start}}}, or rows with id, title, context, question and answers"
)
# What was mended, by its key in a report's counts, with the words that precede the number.
REPAIRS: Final = {
    "offsets_as_text": "offsets written as text, read as numbers",
    "single_answers": "answers that are no list, read as lists of one",
    "other_booleans": '`is_impossible` values such as 1 or "true", read as true or false',
    "empty_lists": "questions with an empty list of answers, taken as unanswerable",
    "empty_answers": "questions with an empty text as their answer, taken as unanswerable",
    "empty_answers_dropped": "questions with an empty text as their answer, left out",
    "references_left_out": "answers not at their offset, left out beside others of their question",
    "references_by_text": "answers not at their offset, used by their text",
    "empty_references": "empty texts beside other answers, left out",
    "ids_made": "missing ids, made from the question's place",
    "ids_numbered": "ids used again, made unique by a number",
    "blank_questions": "questions without text, counted as unanswered",
    "nul_characters": "texts with NUL characters, read as spaces",
    "repeated_keys": "keys repeated within one object, the last one used",
}
ANSWERS: Final = ("answers", "answer")  # the second is KorQuAD 2.0's, for one answer alone
TRUTH: Final = {
    **{"true": True, "yes": True, "1": True, "1.0": True},
    **{"false": False, "no": False, "0": False, "0.0": False, "": False},
}


@dataclass(frozen=True)
class Raw:
    """One question as its file has it, the form apart.

    Attributes:
        place: in the file, for messages and for ids that are missing.
        id: as the file has it; None where it has none.
        title: of the article; empty where there is none.
        context: the passage.
        text: the question.
        answers: texts with their offsets, None for an offset that is not given; None where the
            file says nothing of answers.
        impossible: what the file says; None where it says nothing.
        row: whether it stands in a row of its own, where an empty list means "no answer".
        own: the id of any type that the file has; None where it has none.
    """

    place: str
    id: str | None
    title: str
    context: str
    text: str
    answers: tuple[tuple[str, int | None], ...] | None
    impossible: bool | None
    row: bool = False
    own: Any = None


def read_document(content: bytes, name: str, repairs: Counter[str]) -> Any:
    """What the bytes of a JSON or JSON Lines file hold, in gzip or not.

    Raises:
        UserError: it is empty, damaged, not JSON, or unpacks to too much; the line is named.
    """
    if content.startswith(GZIP):
        content = unpacked(content, name)
    if not content.strip():
        raise UserError(f"{name} is empty: expected a SQuAD 1.1 or 2.0 JSON file")
    try:
        text = content.decode(json.detect_encoding(content), "surrogatepass")
    except UnicodeDecodeError as error:
        raise UserError(_not_utf8(content, name, error.start)) from error
    return _parse(text.removeprefix("\ufeff"), name, repairs)


def _not_utf8(content: bytes, name: str, start: int) -> str:
    """What is wrong with bytes that are no UTF-8 from `start` on, and what they may be."""
    text = content.decode("cp1252", "replace")
    try:
        raws = list(Walk(name, "dev", Counter()).questions(_parse(text, name, Counter())))
    except UserError:
        raws = []
    pairs = [(raw, *pair) for raw in raws for pair in raw.answers or ()]
    fits = bool(pairs) and all(
        at is not None and "code points" in readings(raw.context, answer, at)
        for raw, answer, at in pairs
    )
    fitting = ", and every offset of the file fits" if fits else ""
    # One byte is one character in Windows-1252.
    return (
        f"{name} is not UTF-8 text (byte {start}); read as Windows-1252 (Latin-1) it has "
        f"{text[max(start - 20, 0) : start + 20]!r} there{fitting}: save it as UTF-8, for example "
        "with iconv -f WINDOWS-1252 -t UTF-8"
    )


def _parse(text: str, name: str, repairs: Counter[str]) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        repairs["repeated_keys"] += len(pairs) - len(found)
        return found

    decoder = json.JSONDecoder(object_pairs_hook=unique)
    number = 0  # of the line before the one that is parsed; 0 for the whole text
    try:
        try:
            return decoder.decode(text)
        except json.JSONDecodeError as error:
            if not error.msg.startswith("Extra data"):
                raise
        repairs.clear()  # the first line was counted already
        rows = []
        for number, line in enumerate(text.split("\n")):  # noqa: B007 - the error names it
            if line.strip():
                rows.append(decoder.decode(line))
        return rows
    except json.JSONDecodeError as error:
        raise UserError(
            f"{name} is not valid JSON (line {number + error.lineno}: {error.msg}); it may be cut "
            "short: fetch or export it again"
        ) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, deep nesting
        place = f"{name}, line {number + 1}" if number else name
        raise UserError(
            f"{place} is no JSON that can be read ({error}): fetch or export it again"
        ) from error


class Walk:
    """Goes through a document, question by question.

    Args:
        name: of the file, for messages.
        part: in "dev" an answer needs no offset, and may be a plain text; of "asked" questions
            nothing that the file says of answers is read.
        repairs: counts what is mended.
    """

    def __init__(self, name: str, part: Part | Literal["asked"], repairs: Counter[str]) -> None:
        self.name, self.part, self.repairs = name, part, repairs

    def questions(self, document: Any) -> Iterator[Raw]:
        """Yields the questions of a document in any form.

        Raises:
            UserError: something is out of form; its place is named.
        """
        listed = isinstance(document, list) and bool(document)
        if isinstance(document, dict) and "data" not in document:
            listed = bool({"question", "qas", "paragraphs"} & document.keys())
            document = [document] if listed else document
        entries = document if listed else self._get(document, "data", list, "the file")
        for i, entry in enumerate(entries):
            place = f"row {i}" if listed else f"data[{i}]"
            if isinstance(entry, dict) and "paragraphs" not in entry and "question" in entry:
                yield self._question(entry, entry, entry, place, row=True)
            else:
                yield from self._article(entry, place)

    def _article(self, article: Any, place: str) -> Iterator[Raw]:
        alone = isinstance(article, dict) and "paragraphs" not in article and "qas" in article
        if alone and ("raw_html" in article or "html_answer_start" in str(article["qas"])):
            raise UserError(
                f"{self.name}: {place} has `context` and `qas` without `paragraphs`, in the form "
                "of KorQuAD 2.0, whose passages are whole web pages in HTML: convert it to "
                "passages of plain text in SQuAD's form"
            )
        paragraphs = [article] if alone else self._get(article, "paragraphs", list, place)
        for j, paragraph in enumerate(paragraphs):
            inner = place if alone else f"{place}.paragraphs[{j}]"
            self._get(paragraph, "context", str, inner)
            for k, qa in enumerate(self._get(paragraph, "qas", list, inner)):
                yield self._question(article, paragraph, qa, f"{inner}.qas[{k}]", row=False)

    def _question(self, article: Any, paragraph: Any, qa: Any, place: str, *, row: bool) -> Raw:
        outer = place if row else place[: place.rindex(".qas[")]
        asked = self.part == "asked"
        impossible = self._truth(qa, place) if isinstance(qa, dict) and not asked else None
        answers: tuple[tuple[str, int | None], ...] | None = None
        # An unanswerable question may hold plausible answers, which are none.
        if asked:
            pass
        elif impossible:
            answers = ()
        elif self.part == "train" or any(_value(qa, key) is not None for key in ANSWERS):
            answers = tuple(self._answers(qa, place))
        given = _value(qa, "id")
        title = article.get("title")
        return Raw(
            place=place,
            id=None if given is None else self._text(str(given), "id", place),
            title="" if title is None else self._text(str(title), "title", outer),
            context=self._get(paragraph, "context", str, outer),
            text=self._get(qa, "question", str, place),
            answers=answers,
            impossible=impossible,
            row=row,
            own=given,
        )

    def _truth(self, qa: dict[str, Any], place: str) -> bool | None:
        value = qa.get("is_impossible")
        if value is None or isinstance(value, bool):
            return value
        if (known := TRUTH.get(str(value).strip().lower())) is None:
            raise UserError(
                f"{self.name}: `is_impossible` of {place} is {str(value)[:80]!r}: write true or "
                "false"
            )
        self.repairs["other_booleans"] += 1
        return known

    def _answers(self, qa: Any, place: str) -> Iterator[tuple[str, int | None]]:
        """Texts and offsets, from a list, from columns, or from one answer alone."""
        key = next((key for key in ANSWERS if _value(qa, key) is not None), ANSWERS[0])
        value = self._get(qa, key, (list, dict), place)
        inner = f"{place}.{key}"
        if isinstance(value, dict):
            texts, starts = value.get("text"), value.get("answer_start")
            if not isinstance(texts, list):
                self.repairs["single_answers"] += 1
                value = [value]
            else:
                if starts is None and self.part == "dev":
                    starts = [None] * len(texts)
                if not isinstance(starts, list) or len(starts) != len(texts):
                    raise UserError(
                        f"{self.name}: {inner} has no `answer_start` for each of its "
                        f"{len(texts)} texts; expected {FORM}"
                    )
                value = [
                    {"text": text, "answer_start": start}
                    for text, start in zip(texts, starts, strict=True)
                ]
        for answer in value:
            if isinstance(answer, str) and self.part == "dev":
                yield self._text(answer, "text", inner), None
                continue
            text = self._get(answer, "text", str, inner)
            # Of an empty text the offset says nothing, and people leave it empty too.
            yield text, self._start(answer, inner) if text.strip() else None

    def _start(self, answer: Any, place: str) -> int | None:
        value = answer.get("answer_start")
        if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,18}\s*", value):
            self.repairs["offsets_as_text"] += 1
            return int(value)
        if isinstance(value, float) and value.is_integer():  # as tables with gaps write integers
            return int(value)
        if self.part == "dev" and not isinstance(value, int):
            return None
        start: int = self._get(answer, "answer_start", int, place)
        return start

    def _get(self, holder: Any, key: str, kind: type | tuple[type, ...], place: str) -> Any:
        value = _value(holder, key)
        if not isinstance(value, kind) or isinstance(value, bool):  # to Python, True is an int
            first = kind[0] if isinstance(kind, tuple) else kind
            raise UserError(
                f"{self.name}: {place} has no `{key}` of type {first.__name__}; expected {FORM}"
            )
        return self._text(value, key, place) if isinstance(value, str) else value

    def _text(self, text: str, key: str, place: str) -> str:
        if not is_text(text):  # no tokenizer takes it
            raise UserError(
                f"{self.name}: `{key}` of {place} holds half of a surrogate pair, which is no "
                "character: write the text again as UTF-8"
            )
        if "\0" in text:  # a space is as long, so that offsets stay
            self.repairs["nul_characters"] += 1
            return text.replace("\0", " ")
        return text


def _value(holder: Any, key: str) -> Any:
    return holder.get(key) if isinstance(holder, dict) else None


def readings(context: str, answer: str, start: int) -> set[str]:
    """The ways of counting in which an answer stands at an offset that is wrong in code points.

    Args:
        context: the passage.
        answer: the expected text.
        start: the offset as the file has it.
    """
    found = set()

    def stands(passage: str, text: str, at: int) -> bool:
        return 0 <= at <= len(passage) and passage[at : at + len(text)] == text

    if stands(context, answer, start):
        found.add("code points")
    for unit, encoding, size in (("UTF-16 units", "utf-16-le", 2), ("bytes of UTF-8", "utf-8", 1)):
        passage, text = context.encode(encoding), answer.encode(encoding)
        if start >= 0 and passage[size * start : size * start + len(text)] == text:
            found.add(unit)
    unix, windows = (text.replace("\r\n", "\n") for text in (context, answer))
    if stands(unix, windows, start):
        found.add("characters with each CRLF as one line feed")
    if stands(unix.replace("\n", "\r\n"), windows.replace("\n", "\r\n"), start):
        found.add("characters with each line feed as CRLF")
    if stands(context, answer, start - 1):
        found.add("characters from 1, or with a byte order mark that is not in the text")
    if context.startswith("\ufeff") and stands(context, answer, start + 1):
        found.add("characters after the passage's byte order mark")
    return found
